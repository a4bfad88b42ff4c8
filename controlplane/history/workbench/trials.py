"""Try policies in a process of their own: bounded, in a private folder, and ended when nobody waits for it any more."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from controlplane.authoring.errors import NoPolicyTools
from controlplane.bundles import BundleRefused
from controlplane.history.workbench.drafts import write
from controlplane.sidecar import OpaBinary, OpaNotFound
from controlplane.sidecar.parent import die_with_parent

MAX_ANSWER_BYTES = 32 * 1024 * 1024
REMOVALS = 40
_PASSED_ON = ("HOME", "PATH")
_MODULE = "controlplane.history.workbench"
_log = structlog.get_logger("ztfm.workbench")


@dataclass(frozen=True)
class TrialTools:
    """The programs.

    Attributes:
        opa: finds an OPA; blocking. Raises `OpaNotFound`.
        regal: finds the linter, or none.
    """

    opa: Callable[[], OpaBinary]
    regal: Callable[[], Path | None]


@dataclass(frozen=True)
class Bounds:
    """How much one try may take.

    Attributes:
        processor_seconds: of each program.
        seconds: from its begin to its end.
        memory_bytes: of each program.
    """

    processor_seconds: int = 30
    seconds: float = 120.0
    memory_bytes: int = 3 * 1024**3


LONGER = Bounds(processor_seconds=60, seconds=180.0)
"""For tests, and for many recorded decisions."""


class Trials:
    """Does one piece of work after the other, each in a new process that holds nothing of this one.

    Args:
        tools: the programs.
        bounds: by the name of the work.
    """

    def __init__(self, tools: TrialTools, bounds: Mapping[str, Bounds] | None = None) -> None:
        self._tools = tools
        self._bounds = bounds if bounds is not None else {"test": LONGER, "replay": LONGER, "explain": LONGER}
        self._opa: OpaBinary | None = None

    async def run(
        self,
        work: str,
        policies: Mapping[str, bytes] | Path,
        asked: Mapping[str, Any],
        records: AsyncIterator[bytes] | None = None,
    ) -> Any:
        """Return what a piece of work says of policies.

        Args:
            work: its name in `controlplane.history.workbench.work`.
            policies: their files by path, or the folder that they lie in.
            asked: what it is to know.
            records: lines that it reads one after the other.

        Raises:
            NoPolicyTools: there is no OPA.
            BundleRefused: the policies cannot be tried, or it took too much.
        """
        opa = await self._located()
        bounds = self._bounds.get(work, Bounds())
        async with _private_folder() as place:
            folder = policies if isinstance(policies, Path) else place / "policies"
            if not isinstance(policies, Path):
                await _to_its_end(_write, policies, folder)
            regal = await asyncio.to_thread(self._tools.regal)
            told = {
                **asked,
                "work": work,
                "folder": str(folder),
                "opa": {"path": str(opa.path), "version": opa.version, "source": opa.source},
                "regal": None if regal is None else str(regal),
                "processor_seconds": bounds.processor_seconds,
                "memory_bytes": bounds.memory_bytes,
            }
            return await _answered(work, told, place, bounds.seconds, records)

    async def _located(self) -> OpaBinary:
        if self._opa is None:
            try:
                self._opa = await asyncio.to_thread(self._tools.opa)
            except OpaNotFound as error:
                raise NoPolicyTools(str(error)) from None
        return self._opa


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir()
    try:
        write(files, folder)
    except OSError as error:
        raise BundleRefused("cannot_be_checked", f"the files cannot be written: {error.strerror}") from None


def _place() -> Path:
    return Path(tempfile.gettempdir()).resolve() / f"ztfm-try-{secrets.token_hex(8)}"


@asynccontextmanager
async def _private_folder() -> AsyncIterator[Path]:
    place = _place()
    try:
        await _to_its_end(place.mkdir, 0o700)
        yield place
    finally:
        await _to_its_end(_remove, place)


def _remove(place: Path) -> None:
    for _ in range(REMOVALS):
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            return
        # What was killed a moment ago may still be ending.
        time.sleep(0.05)
    _log.error("trial_left_files", folder=str(place), remedy="remove the folder")


async def _to_its_end(work: Callable[..., object], *given: object) -> None:
    """Do what blocks in a thread; whoever is cancelled meanwhile waits until it is done, for it cannot be ended."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *given))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        # What it failed of is nobody's matter any more.
        await asyncio.gather(working, return_exceptions=True)
        raise


async def _answered(
    work: str, told: Mapping[str, Any], place: Path, seconds: float, records: AsyncIterator[bytes] | None
) -> Any:
    scratch = place / "t"
    scratch.mkdir()
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**kept, "TMPDIR": str(scratch), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )
    try:
        async with asyncio.timeout(seconds):
            _, out, error = await asyncio.gather(_fed(process, told, records), _read(process), _said(process))
            code = await process.wait()
    except TimeoutError:
        raise BundleRefused("cannot_be_checked", f"it was not done within {seconds:g} s") from None
    finally:
        # With all that it started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return await asyncio.to_thread(_understood, work, code, out, error)


async def _fed(
    process: asyncio.subprocess.Process, told: Mapping[str, Any], records: AsyncIterator[bytes] | None
) -> None:
    stdin = process.stdin
    if stdin is None:
        raise RuntimeError("the process has no input")
    # Where it ends early, what it says tells why.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(json.dumps(told).encode() + b"\n")
        await stdin.drain()
        if records is not None:
            async for lines in records:
                stdin.write(lines)
                await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read(process: asyncio.subprocess.Process) -> bytes:
    stdout = process.stdout
    found = bytearray()
    while stdout is not None and (chunk := await stdout.read(1 << 18)):
        found += chunk
        if len(found) > MAX_ANSWER_BYTES:
            raise BundleRefused("too_large", f"what is to be said of it has more than {MAX_ANSWER_BYTES:,} bytes")
    return bytes(found)


async def _said(process: asyncio.subprocess.Process) -> str:
    """Return the last line of what it says in error."""
    stderr, last = process.stderr, b""
    while stderr is not None and (chunk := await stderr.read(1 << 16)):
        last = (last + chunk)[-4096:]
    return last.decode(errors="replace").strip().rpartition("\n")[2]


def _understood(work: str, code: int, out: bytes, error: str) -> Any:
    try:
        answer = json.loads(out)
    except ValueError:
        # Policies may be written so that it ends; what ended it is our matter too. Facts may be in the message.
        _log.warning("trial_ended", work=work, exit_code=code, error=error.partition(":")[0][:64])
        why = "more time or memory was needed than a try may take" if code < 0 else "it ended without an answer"
        raise BundleRefused("cannot_be_checked", why) from None
    if "refused" in answer:
        raise BundleRefused(answer["refused"], answer["detail"])
    return answer["answer"]
