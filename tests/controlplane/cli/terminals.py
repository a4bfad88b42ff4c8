"""A command in a terminal of its own, as somebody at a keyboard runs it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.controlplane.cli.processes import ZTFM


@dataclass
class Terminal:
    """A pseudo terminal with a command in it."""

    process: "subprocess.Popen[bytes]"
    keyboard: int
    line: int
    before: list[Any]
    shown: bytes = b""

    def wait_for(self, text: bytes, seconds: float = 60.0) -> None:
        """Return once a text is shown after what was waited for last."""
        begin, deadline = len(self.shown), time.monotonic() + seconds
        while text not in self.shown[begin:]:
            assert time.monotonic() < deadline, self.shown[-4000:].decode(errors="replace")
            self._read(0.1)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self.keyboard, key)

    def ended(self, seconds: float = 30.0) -> int:
        """Return how the command ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)
        self._read(0.2)
        return self.process.wait(0.1)

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal has the modes that it had before the command."""
        return termios.tcgetattr(self.line) == self.before

    def _read(self, seconds: float) -> None:
        while select.select([self.keyboard], [], [], seconds)[0]:
            self.shown += os.read(self.keyboard, 65_536)
            seconds = 0.0


@contextmanager
def in_terminal(*arguments: str, columns: int = 160, rows: int = 48, **environment: str) -> Iterator[Terminal]:
    """Run ``ztfm`` in a terminal; kill what is left of it."""
    keyboard, line = pty.openpty()
    fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(line)
    chosen = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    # It has to be the terminal's own session, or Ctrl-C would reach nobody.
    command = ["setsid", "--ctty", "--wait", *ZTFM, *arguments]
    process = subprocess.Popen(
        command, stdin=line, stdout=line, stderr=line, env={**chosen, "TERM": "xterm-256color", **environment}
    )
    try:
        yield Terminal(process, keyboard, line, before)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
        os.close(line)
