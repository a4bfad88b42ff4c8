"""Run a command to its end; of what it started, and of what that started, nothing is left (Linux)."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from adapters.conformance.children import children_of, ends_with_us

_PR_SET_CHILD_SUBREAPER = 36
_IN_ORDER_SECONDS = 30.0
_LEAVING_SECONDS = 5.0
_GLANCE_SECONDS = 0.05


def adopt() -> None:
    """Become the parent of whatever loses its own below this process, sessions of their own or not."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: Sequence[str], folder: Path, seconds: float, output: IO[str] | None = None) -> int:
    """Return the exit status of a command.

    It is in a session of its own: an interrupt reaches it once, from here, and it has time to end in order.

    Args:
        command: with its arguments.
        folder: where it runs.
        seconds: that it has.
        output: where its standard output goes; none for ours.

    Raises:
        TimeoutError: it had not ended by then.
        KeyboardInterrupt: this process was interrupted; the command has ended.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        start_new_session=True,
        preexec_fn=ends_with_us(signal.SIGINT),
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"it did not end within {seconds:g} s") from None
    finally:
        # A second interrupt ends the waiting, and what is left ends at once.
        with suppress(subprocess.TimeoutExpired):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(_IN_ORDER_SECONDS)


def left() -> list[str]:
    """Return the commands of processes that are still there below this one, once they had a moment to end."""
    deadline = time.monotonic() + _LEAVING_SECONDS
    while (found := below(os.getpid())) and time.monotonic() < deadline:
        time.sleep(_GLANCE_SECONDS)
    return sorted(_command(pid) for pid in found)


def end_all() -> None:
    """End every process below this one, until there is none, or none that can be ended."""
    deadline = time.monotonic() + _LEAVING_SECONDS
    while (found := below(os.getpid())) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_GLANCE_SECONDS)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def below(pid: int) -> list[int]:
    """Return the process ids of what a process started, and of what that started."""
    found = children_of(pid)
    return [*found, *(one for child in found for one in below(child))]


def _command(pid: int) -> str:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "a process that has just ended"
