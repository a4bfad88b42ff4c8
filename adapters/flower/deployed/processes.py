"""Programs of a Flower deployment, each with a log of its own; all end together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.conformance.children import ends_with_us
from adapters.conformance.warm import Warm

_GLANCE_SECONDS = 0.1
_LOG_LINES = 20


class Programs:
    """Starts programs. Make one with `programs`.

    Args:
        folder: logs, and what Flower keeps, go there.
        warm: has the programs; what they start themselves is found there, too.
    """

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self._warm = warm
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **environment(),
            "PATH": f"{warm.folder}{os.pathsep}{os.environ.get('PATH', '')}",
            "FLWR_HOME": str(self.home),
        }

    def start(self, name: str, *command: str) -> None:
        """Start a program.

        Raises:
            OSError: there is no such program.
        """
        program = [str(self._warm.folder / command[0]), *command[1:]]
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - Flower's programs, no shell
                program,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=ends_with_us(signal.SIGTERM),
            )

    def run(self, name: str, *command: str, seconds: float) -> None:
        """Run a program to its end.

        Raises:
            RuntimeError: it failed, or takes longer; the message holds the end of its log.
        """
        self.start(name, *command)
        self.wait(name, lambda: self._running[name].poll() is not None, seconds)
        if self._running[name].returncode:
            raise RuntimeError(self._said(name))

    def wait(self, name: str, is_so: Callable[[], bool], seconds: float) -> None:
        """Return once something is so that a program does.

        Raises:
            RuntimeError: it ended before, or takes longer; the message holds the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline or self._running[name].poll() not in (None, 0):
                raise RuntimeError(self._said(name))
            time.sleep(_GLANCE_SECONDS)

    def end(self) -> None:
        """End all of them at once: the job is over, and nothing of them is kept."""
        self._warm.end_programs()
        for process in self._running.values():
            process.kill()
            process.wait()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _said(self, name: str) -> str:
        tail = "\n".join(self._log(name).read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return f"{name} did not do what it should\n{tail}"


def environment() -> dict[str, str]:
    """Return the environment of Flower's programs: they tell nobody, and look for work often."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.4",
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def programs(folder: Path, warm: Warm) -> Iterator[Programs]:
    """Give a place to start programs in, and leave none behind."""
    folder.mkdir()
    found = Programs(folder, warm)
    try:
        yield found
    finally:
        found.end()
