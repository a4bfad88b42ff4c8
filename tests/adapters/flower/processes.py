"""Processes of a Flower deployment: each has a log, and ends with all that it started."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import wait_until

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(sys.executable).parent


class Processes:
    """Starts programs in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "flower").mkdir()
        self._environment = {
            **os.environ,
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FLWR_HOME": str(folder / "flower"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program of the environment, or a module with ``-m``."""
        program = [sys.executable, *command] if command[0] == "-m" else [str(SCRIPTS / command[0]), *command[1:]]
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.log").open("wb") as log:
            self._started[name] = subprocess.Popen(
                program, cwd=self.folder, env=self._environment, stdout=out, stderr=log, start_new_session=True
            )
        return self._started[name]

    def run(self, name: str, *command: str, seconds: float = 60.0) -> None:
        """Run a program to its end."""
        assert self.start(name, *command).wait(seconds) == 0, self.log(name)

    def ready(self, name: str, seconds: float = 60.0) -> dict[str, Any]:
        """Return the line by which a command says that it is ready."""
        shown = self.folder / f"{name}.out"
        wait_until(lambda: shown.read_text().endswith("\n") or self._has_ended(name), seconds, f"{name} is ready")
        assert shown.read_text(), self.log(name)
        found: dict[str, Any] = json.loads(shown.read_text().splitlines()[0])
        return found

    def log(self, name: str) -> str:
        """Return the end of what a program said."""
        said = [(self.folder / f"{name}.{kind}").read_text(errors="replace")[-3000:] for kind in ("out", "log")]
        return "\n".join(said)

    def end(self) -> None:
        """End all of them, those that were started last first."""
        for process in reversed(self._started.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in reversed(self._started.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)

    def _has_ended(self, name: str) -> bool:
        return self._started[name].poll() is not None


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Give a place to start programs in, and leave none behind."""
    found = Processes(folder)
    try:
        yield found
    finally:
        found.end()
