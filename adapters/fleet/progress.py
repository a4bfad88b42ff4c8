"""How far a run is, for people: how many, how fast, how long still."""

from collections import deque
from typing import TextIO

_WINDOW_SECONDS = 30.0
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 15.0


class Progress:
    """Shows a line on a terminal again and again, and elsewhere one now and then.

    Args:
        out: where to; none shows nothing.
        total: devices of the file.
        before: of these, those that were enrolled by earlier runs.
    """

    def __init__(self, out: TextIO | None, total: int, before: int) -> None:
        self._out = out
        self._is_terminal = out is not None and out.isatty()
        self._total = total
        self._before = before
        self._samples: deque[tuple[float, int]] = deque()
        self._shown_at = float("-inf")
        self._width = 0

    def show(self, now: float, enrolled: int, failed: int) -> None:
        """Show where it is, if that is not too soon.

        Args:
            now: seconds.
            enrolled: by this run.
            failed: in this run.
        """
        if self._out is None or now - self._shown_at < (_TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS):
            return
        is_first, self._shown_at = self._shown_at == float("-inf"), now
        line = self.line(now, enrolled, failed)
        if self._is_terminal:
            self._out.write("\r" + line.ljust(self._width))
            self._width = len(line)
        elif not is_first:
            self._out.write(line + "\n")
        self._out.flush()

    def line(self, now: float, enrolled: int, failed: int) -> str:
        """Return the line of a moment; its rate is that of the last half minute."""
        done = enrolled + failed
        self._samples.append((now, done))
        while now - self._samples[0][0] > _WINDOW_SECONDS and len(self._samples) > 1:
            self._samples.popleft()
        since, first = self._samples[0]
        rate = (done - first) / (now - since) if now > since else 0.0
        said = f"{self._before + enrolled:,} of {self._total:,} enrolled"
        if failed:
            said += f", {failed:,} failed"
        left = self._total - self._before - done
        if rate > 0 and left > 0:
            said += f", {rate:.{0 if rate >= 10 else 1}f} a second, {_lasts(left / rate)} left"
        return said

    def end(self) -> None:
        """Leave the terminal's line as it is, for what is written after it."""
        if self._out is not None and self._is_terminal and self._width:
            self._out.write("\n")
            self._out.flush()


def _lasts(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
