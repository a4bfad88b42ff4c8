"""When the next request may be made: all lines wait together while the control plane is busy or away."""

import asyncio
import time
from collections.abc import Callable

from adapters.fleet.errors import FleetError, Stopped

PATIENCE_SECONDS = 120.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0


class Pace:
    """Says when to ask next. Of one event loop.

    Args:
        patience_seconds: without any answer that gets on for so long, the run ends.
        clock: seconds.

    Attributes:
        answers: of the control plane that got on.
    """

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience_seconds
        self._clock = clock
        self._stop = asyncio.Event()
        self._until = 0.0
        self._pause = _FIRST_PAUSE_SECONDS
        self._got_on_at = clock()
        self._why = ""
        self.answers = 0

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Begin nothing more; whoever waits for a turn gets none."""
        self._stop.set()

    def got_on(self) -> None:
        """Say that the control plane answered something else than to wait."""
        self.answers += 1
        self._got_on_at = self._clock()
        self._pause = _FIRST_PAUSE_SECONDS

    def wait(self, seconds: float, why: str) -> None:
        """Have everybody wait, as the control plane asked for."""
        self._until = max(self._until, self._clock() + seconds)
        self._why = why

    def back_off(self, why: str) -> None:
        """Have everybody wait for one that is away: longer each time, up to 15 s."""
        if self._clock() >= self._until:
            self.wait(self._pause, why)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)

    async def turn(self) -> None:
        """Return when the next request may be made.

        Raises:
            Stopped: none may.
            FleetError: the control plane is busy or away for longer than anybody waits.
        """
        while True:
            if self._stop.is_set():
                raise Stopped("stopped")
            now = self._clock()
            if self._until <= now:
                return
            if self._until - self._got_on_at > self._patience:
                raise FleetError(
                    f"nothing gets on within {self._patience:g} s: {self._why}. "
                    "Once that is mended, the same command goes on from here"
                )
            try:
                async with asyncio.timeout(self._until - now):
                    await self._stop.wait()
            except TimeoutError:
                continue
