"""A process that is stopped and goes on: `SIGSTOP` alone returns before the process has noticed."""

import os
import signal
import time
from pathlib import Path

WITHIN_SECONDS = 10.0


def pause(pid: int | None) -> int:
    """Stop a process, wait until every one of its threads stands still, and return its id.

    The kernel tells one thread of a signal, and the others go on until that one was given a core.
    """
    assert pid is not None, "nothing runs that could be paused"
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + WITHIN_SECONDS
    while not _stands_still(pid):
        assert time.monotonic() < deadline, f"process {pid} did not stop"
        time.sleep(0.001)
    return pid


def resume(pid: int) -> None:
    """Let a paused process go on."""
    os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    if not Path("/proc").is_dir():
        time.sleep(0.1)
        return True
    threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    # The name stands in parentheses and may hold spaces; the state comes after it.
    return bool(threads) and all(found.rpartition(")")[2].split()[0] in "TtXZ" for found in threads)
