"""What a run writes down as it goes: a line for each device, on disk before anything is said of it."""

import asyncio
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adapters.fleet.errors import FleetError
from adapters.fleet.files import digest_of

_MOST_CHARS = 65_536


class Journal:
    """The journal of a folder, which one run at a time writes. A context manager.

    A line that was cut off by a death is taken out. What several have written together is brought to disk together.

    Args:
        path: of the file; made, for its owner alone.

    Attributes:
        done: devices that were enrolled, as `adapters.fleet.files.stated_as` by name.
        url: of the control plane at which they were; none before the first run.

    Raises:
        FleetError: another run writes it, or it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, int] = {}
        self.url: str | None = None
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FleetError(f"{path} cannot be opened: {error.strerror}") from None
        try:
            self._begin()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def begin(self, url: str, time: float) -> None:
        """Write down at which control plane devices are enrolled; a folder is for one.

        Args:
            url: of the control plane.
            time: Unix seconds.

        Raises:
            FleetError: it is another one's, or cannot be written.
        """
        if self.url not in (None, url):
            raise FleetError(
                f"the devices in {self.path.parent} were enrolled at {self.url}, and not at {url}: give another --out"
            )
        if self.url is None:
            try:
                self._append(_encoded({"time": time, "state": "begun", "url": url}))
            except OSError as error:
                raise FleetError(f"{self.path} cannot be written: {error.strerror}") from None
            self.url = url

    async def write(self, entry: Mapping[str, Any]) -> None:
        """Return once an entry is on disk.

        Raises:
            FleetError: it cannot be written.
        """
        written = asyncio.get_running_loop().create_future()
        self._pending.append((_encoded(entry), written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        while self._pending:
            group, self._pending = self._pending, []
            failed: FleetError | None = None
            try:
                await asyncio.to_thread(self._append, b"".join(line for line, _ in group))
            except OSError as error:
                failed = FleetError(f"{self.path} cannot be written: {error.strerror}. Make room, and run again")
            for _, written in group:
                if written.done():
                    continue
                if failed is None:
                    written.set_result(None)
                else:
                    written.set_exception(failed)

    def _append(self, lines: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            # What others write later must not follow half a line.
            os.ftruncate(self._descriptor, size)
            raise

    def _begin(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError(f"another run works in {self.path.parent}: wait until it is done, or stop it") from None
        whole = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            number = 0
            while line := file.readline(_MOST_CHARS + 1):
                number += 1
                if not line.endswith(b"\n") and len(line) <= _MOST_CHARS:
                    break
                self._remember(number, line)
                whole += len(line)
        os.ftruncate(self._descriptor, whole)

    def _remember(self, number: int, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if entry["state"] == "enrolled":
                self.done[str(entry["name"])] = digest_of(" ".join(entry["roles"]), entry["segment"])
            elif entry["state"] == "begun":
                self.url = str(entry["url"])
        except (ValueError, RecursionError, KeyError, TypeError):
            raise FleetError(
                f"line {number} of {self.path} is no entry of a journal: move that file away. Keys stay where they "
                "are, and devices that were enrolled are found by them"
            ) from None


def _encoded(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"
