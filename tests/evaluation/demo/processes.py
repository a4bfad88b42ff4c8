"""What a run of the demo started, found through /proc."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 240.0
"""A run takes one minute; with neighbours several."""


def descendants(pid: int) -> dict[int, str]:
    """The command names of all living descendants of a process."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (found := _read(folder)) is not None:
            name, state, parent = found
            if state != "Z":
                names[int(folder.name)] = name
                parents.setdefault(parent, []).append(int(folder.name))
    return {child: names[child] for child in _below(pid, parents)}


def wait_for(line: str, log: Path, process: subprocess.Popen[bytes], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until ``line`` is in a process's log; the process must be running until then."""
    _wait(lambda: line in log.read_text(errors="replace") or process.poll() is not None, seconds)
    assert line in log.read_text(errors="replace"), log.read_text(errors="replace")


def wait_until_gone(pids: dict[int, str], seconds: float = 15.0) -> None:
    """Wait until none of ``pids`` is alive."""
    _wait(lambda: not [pid for pid in pids if _alive(pid)], seconds)
    assert [name for pid, name in pids.items() if _alive(pid)] == []


def _wait(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    found = _read(Path("/proc") / str(pid))
    return found is not None and found[1] != "Z"


def _read(folder: Path) -> tuple[str, str, int] | None:
    try:
        text = (folder / "stat").read_text()
    except OSError:
        return None
    name, rest = text[text.index("(") + 1 :].rsplit(")", 1)
    state, parent = rest.split()[:2]
    return name, state, int(parent)


def _below(pid: int, parents: dict[int, list[int]]) -> Iterator[int]:
    for child in parents.get(pid, []):
        yield child
        yield from _below(child, parents)


@contextmanager
def running(command: list[str], folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """Run a command in ``folder`` with the files that its two streams go to; a run that has not ended is killed."""
    out, log = folder / "out", folder / "log"
    environment = {**os.environ, "PYTHONWARNINGS": "default", **settings}
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, cwd=folder, env=environment)
    try:
        yield process, out, log
    finally:
        process.kill()
        process.wait()
