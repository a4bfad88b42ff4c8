"""The fleet's file: opened once, looked through as a whole before anything is asked, then read again line by line."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.fleet.errors import Fault, FleetError
from adapters.fleet.lines import Line, read_csv, read_json_lines
from adapters.presenting import Certificates, Credential

_READERS = {".csv": read_csv, ".jsonl": read_json_lines, ".ndjson": read_json_lines}

Group = tuple[tuple[str, ...], str]


@dataclass
class Looked:
    """What the file holds.

    Attributes:
        lines: that state a device.
        faults: how many there are; each was told.
        before: lines of devices that were enrolled by an earlier run.
        wanted: tokens that have to be issued, by roles and segment.
    """

    lines: int = 0
    faults: int = 0
    before: int = 0
    wanted: Counter[Group] = field(default_factory=Counter)


class FleetFile:
    """A fleet's file, CSV or JSON Lines by its name. A context manager.

    Args:
        path: of the file.

    Raises:
        FleetError: it cannot be opened, or is neither.
    """

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        try:
            self._read = _READERS[path.suffix.lower()]
        except KeyError:
            raise FleetError(f"{path} is no fleet's file: its name ends with {', '.join(_READERS)}") from None
        try:
            self._file = path.open(encoding="utf-8", newline="")
        except OSError as error:
            raise FleetError(f"{path} cannot be opened: {error.strerror}") from None
        if not self._file.seekable():
            self._file.close()
            raise FleetError(f"{path} can be read but once, and it is read twice: write it into a file")
        self._state = self._stat()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def look(self, tell: Callable[[Fault], None], done: Mapping[str, int], *, issues: bool) -> Looked:
        """Look through the whole file; nothing of it is kept but what it takes to find what is there twice.

        Args:
            tell: told of each fault.
            done: devices that an earlier run enrolled, as `stated_as` by name.
            issues: tokens are issued for lines that show nothing.

        Raises:
            FleetError: the file cannot be read any further.
        """
        looked, seen = Looked(), _Seen()

        def fault(line: Line, what: str, remedy: str) -> None:
            looked.faults += 1
            tell(Fault(line.number, line.name, what, remedy))

        for line in self._lines():
            if isinstance(line, Fault):
                looked.faults += 1
                tell(line)
                continue
            looked.lines += 1
            for what in seen.twice(line):
                fault(line, what, "Each device has one line, and nothing of it serves another.")
            for what in self._unusable(line):
                fault(line, what, "Paths begin at the folder of the fleet's file.")
            if line.name in done:
                looked.before += 1
                if done[line.name] != stated_as(line):
                    fault(line, "it was enrolled as something else by an earlier run", _ELSE)
            elif not line.has_evidence:
                looked.wanted[line.group] += 1
                if not issues:
                    fault(line, "it shows nothing by which it may enrol", _NOTHING)
        if not looked.lines and not looked.faults:
            looked.faults += 1
            tell(Fault(0, "", "it states no device", "A header alone enrols nobody."))
        return looked

    def again(self) -> Iterator[Line]:
        """Yield each line of a file that was found without fault.

        Raises:
            FleetError: it is not what it was any more.
        """
        for line in self._lines():
            if isinstance(line, Fault):
                raise FleetError(_CHANGED)
            yield line
        self.require_unchanged()

    def require_unchanged(self) -> None:
        """Return if nobody wrote into the file since it was opened.

        Raises:
            FleetError: somebody did.
        """
        if self._stat() != self._state:
            raise FleetError(_CHANGED)

    def _lines(self) -> Iterator[Line | Fault]:
        self._file.seek(0)
        return self._read(self._file)

    def _unusable(self, line: Line) -> Iterator[str]:
        for name, read in _FILES.items():
            path = getattr(line, name)
            if path is None:
                continue
            try:
                read(self.folder / path)
            except OSError as error:
                yield f"the file of its {name} cannot be read: {error.strerror}"
            except ValueError as error:
                yield f"the file of its {name} will not do: {error}"

    def _stat(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns


def _require_private(path: Path) -> None:
    """Return if a file is its owner's alone; what is in it is looked at when its turn comes."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise ValueError(f"{path} is no file of mode 0600: others could reach it. Run `chmod 600 {path}`")


_FILES: Mapping[str, Callable[[Path], object]] = {
    "credential": Credential.of_file,
    "certificates": Certificates.of_file,
    "key": _require_private,
}

_CHANGED = "the file was changed while it was read: run the same command again"
_ELSE = "Put back what it said, or enrol it anew under another name and have the first one revoked."
_NOTHING = "Give it a token, or give --admin the folder of an administrator who issues them."


def stated_as(line: Line) -> int:
    """Return what stands for a device's roles and segment."""
    return digest_of(" ".join(line.group[0]), line.segment)


def digest_of(*parts: str) -> int:
    """Return 64 bits that stand for texts: enough to tell those of one file apart."""
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest())


class _Seen:
    """Where each name, token and file was first, in the memory of two numbers each."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}

    def twice(self, line: Line) -> Iterator[str]:
        """Yield what an earlier line states too."""
        # A folder's name may be the same in small and in large letters.
        stated = {"name": line.name.casefold(), "token": line.token, "credential": line.credential, "key": line.key}
        for what, value in stated.items():
            if value is not None:
                first = self._first.setdefault(digest_of(what, value), line.number)
                if first != line.number:
                    yield f"its {what} is that of line {first}"
