"""Whose turn it is: a few tries of policies at once, and one of each person's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controlplane.authoring.errors import TrialsBusy

AT_ONCE = 2
MOST_WAITING = 8
WAIT_SECONDS = 5.0
"""Whoever edits asks anew while what was asked before is being ended."""


class Turns:
    """Gives turns; belongs to one event loop.

    Args:
        at_once: tries in all.
        waiting: that may wait for a turn.
        seconds: that each waits at most.
    """

    def __init__(self, at_once: int = AT_ONCE, waiting: int = MOST_WAITING, seconds: float = WAIT_SECONDS) -> None:
        self._at_once = at_once
        self._most_waiting = waiting
        self._seconds = seconds
        self._running: set[str] = set()
        self._waiting = 0
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def of(self, subject: str) -> AsyncIterator[None]:
        """Hold a turn of a subject until the context is left.

        Raises:
            TrialsBusy: it has one, or others have all of them, and none was given back in time.
        """
        if not self._is_free(subject):
            await self._wait(subject)
        self._running.add(subject)
        try:
            yield
        finally:
            self._running.discard(subject)
            self._ended.set()
            self._ended = asyncio.Event()

    def _is_free(self, subject: str) -> bool:
        return subject not in self._running and len(self._running) < self._at_once

    async def _wait(self, subject: str) -> None:
        if self._waiting >= self._most_waiting:
            raise TrialsBusy(is_own=subject in self._running)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                while not self._is_free(subject):
                    await self._ended.wait()
        except TimeoutError:
            raise TrialsBusy(is_own=subject in self._running) from None
        finally:
            self._waiting -= 1
