"""A control plane of the kit's own: ``ztfm serve`` as a child process, to be killed and started again at will."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from adapters.conformance.children import children_of, ends_with_us

BOOTSTRAP = "bootstrap-secret"

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOG_LINES = 20
_KEPT = ("ZTFM_LOG_LEVEL", "ZTFM_LOG_FORMAT")

_SERVE = "from controlplane.cli import main; main()"
_SERVE_BEHIND = "import time; now = time.time; time.time = lambda: now() - {behind!r}; " + _SERVE


class PlaneFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane did not start; the message holds the last lines of its log."""


class Plane:
    """A control plane in a private folder. Start, kill and start again in one thread, which outlives it.

    Args:
        folder: private; state and log go there.
    """

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.state_dir = folder / "state"
        self._log = folder / "control-plane.log"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, behind: float = 0.0) -> None:
        """Start it, on the port that it had before.

        Args:
            behind: seconds by which its clock is slow. What it issues then has run out when it is started anew.

        Raises:
            PlaneFailed: it did not start.
        """
        program = _SERVE_BEHIND.format(behind=behind) if behind else _SERVE
        given = ["serve", "--port", str(self._port), "--workers", "1", "--json", "--state-dir", str(self.state_dir)]
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                [sys.executable, "-c", program, *given],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={name: text for name, text in os.environ.items() if not name.startswith("ZTFM_") or name in _KEPT},
                start_new_session=True,
                preexec_fn=ends_with_us(signal.SIGTERM),
            )
        self.url = str(self._announced(self._process)["url"])
        self._port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """End it in order; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self.stop()

    def pause(self, seconds: float) -> None:
        """Let it answer nothing for a while."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self._process.send_signal(signal.SIGCONT)

    def kill_engine(self) -> bool:
        """Kill its OPA, and return whether there was one."""
        found = [] if self._process is None else children_of(self._process.pid)
        for child in found:
            os.kill(child, signal.SIGKILL)
        return bool(found)

    def _announced(self, process: "subprocess.Popen[bytes]") -> dict[str, object]:
        assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if select.select([process.stdout], [], [], 0.2)[0]:
                line = process.stdout.readline()
                if line.strip():
                    return dict(json.loads(line))
        self.stop()
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        raise PlaneFailed(f"the control plane did not start; 'ztfm doctor' says what is missing\n{tail}")
