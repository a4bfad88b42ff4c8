"""A router that lets through what the control plane's table grants: it follows the table and what is revoked."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from adapters.errors import ControlPlaneError
from adapters.segments.gatekeeper import Gatekeeper
from adapters.segments.revoked import GrantFeed
from adapters.segments.tables import Tables
from controlplane.contracts.segmentation import GrantTable

WAIT_SECONDS = 20.0
"""How long the control plane may hold its answer back while the table is still the same."""

WATCH_SECONDS = 0.5
"""Between two looks at whether somebody else changed the kernel's rules."""

COMPARE_SECONDS = 60.0
"""Between two comparisons of the whole, whether or not anything seems to have changed."""

SOONEST_SECONDS = 1.0
"""After which a table is asked for anew where the same was answered at once."""

NEWER_SECONDS = 0.5
"""After which a table is asked for anew from which something is withheld."""

AGAIN_SECONDS = 3.0
"""After which a table is asked for anew that could not be put in force."""

CHECKING_SHARE = 0.25
"""Of the time, that reading back may take where one change follows the other; whatever is revoked goes before it."""

LONGEST_PAUSE_SECONDS = 2.0
"""Between two tries to reach the control plane."""

_FIRST_PAUSE_SECONDS = 0.1
_log = logging.getLogger("ztfm.segments")


class Router:
    """Enforces the newest table, less what was revoked since.

    Whatever goes wrong, nothing passes that did not before: without the control plane grants run out one by one; a
    table that cannot be compiled or is refused takes away what it takes away and adds nothing; rules that somebody
    else changed are put back. Ended, it leaves its rules, whose flows end by themselves.

    Args:
        gatekeeper: puts tables in force.
        tables: where the table comes from.
        feed: of what is revoked, started and closed by whoever made it.
        silence_seconds: without word of what is revoked for so long nothing passes at all; none lets grants run to
            their ends.
        inside: where the kernel is called, one call at a time: a thread of the network namespace that is meant; none
            for this process's.
        timer: seconds, never stepping back.
    """

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        tables: Tables,
        feed: GrantFeed,
        *,
        silence_seconds: float | None = None,
        inside: Executor | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gatekeeper = gatekeeper
        self._tables = tables
        self._feed = feed
        self._silence = silence_seconds
        self._inside = inside
        self._timer = timer
        self._heard_at = timer()
        self._kernel = asyncio.Lock()
        self._asks_anew = asyncio.Event()
        self._wakes = asyncio.Event()

    async def run(self) -> None:
        """Enforce until cancelled. The first thing is that nothing passes beyond what was kept.

        Raises:
            RulesRefused: not even a chain that drops everything can be installed; inside of an exception group once
                the first rules were.
        """
        await self._do(self._gatekeeper.begin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="ztfm-table")
            tasks.create_task(self._listen(), name="ztfm-revoked")
            tasks.create_task(self._watch(), name="ztfm-rules")

    async def _do(self, step: Callable[[], Any]) -> Any:
        async with self._kernel:
            return await asyncio.get_running_loop().run_in_executor(self._inside, step)

    async def _put(self) -> None:
        await self._do(lambda: self._gatekeeper.put(silenced=self._is_silent))
        self._wakes.set()

    async def _follow(self) -> None:
        known: str | None = None
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._asks_anew.clear()
            is_open = self._gatekeeper.is_withholding or self._gatekeeper.is_refused
            began = self._timer()
            try:
                table = await self._next(None if is_open else known)
            except ControlPlaneError as error:
                level = logging.WARNING if pause == _FIRST_PAUSE_SECONDS else logging.DEBUG
                _log.log(level, "no table can be had now, grants run out by themselves; trying on: %s", error)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            pause = _FIRST_PAUSE_SECONDS
            if table is None:
                if not self._asks_anew.is_set() and self._timer() - began < SOONEST_SECONDS:
                    # The control plane held nothing back: too many are waiting.
                    await asyncio.sleep(SOONEST_SECONDS)
                continue
            known = table.revision
            self._gatekeeper.take(table)
            await self._put()
            if self._gatekeeper.is_refused:
                await asyncio.sleep(AGAIN_SECONDS)
            elif self._gatekeeper.is_withholding:
                await asyncio.sleep(NEWER_SECONDS)

    async def _next(self, known: str | None) -> GrantTable | None:
        """Return the next table; none where there is no other, or it is to be asked for anew."""
        asking = asyncio.ensure_future(self._tables.segment_table(known, WAIT_SECONDS if known else 0.0))
        anew = asyncio.ensure_future(self._asks_anew.wait())
        try:
            await asyncio.wait({asking, anew}, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            for task in (asking, anew):
                task.cancel()
            await asyncio.gather(asking, anew, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            await self._feed.news.wait()
            self._feed.news.clear()
            await self._put()
            self._asks_anew.set()

    async def _watch(self) -> None:
        compared, checks_at = self._timer(), self._timer()
        while True:
            await self._woken()
            if self._feed.is_current:
                self._heard_at = self._timer()
            if self._is_silent != self._gatekeeper.is_silenced:
                await self._put()
            began = self._timer()
            if self._gatekeeper.is_unchecked:
                if began >= checks_at:
                    await self._do(self._gatekeeper.check)
                    compared = self._timer()
                    checks_at = compared + (compared - began) * (1 / CHECKING_SHARE - 1)
            elif began - compared > COMPARE_SECONDS or await self._do(self._gatekeeper.is_touched):
                await self._do(self._gatekeeper.hold)
                compared = self._timer()
            else:
                continue
            if self._gatekeeper.is_refused:
                self._asks_anew.set()

    async def _woken(self) -> None:
        """Return after a while, or as soon as there is something to check."""
        try:
            async with asyncio.timeout(WATCH_SECONDS):
                await self._wakes.wait()
        except TimeoutError:
            pass
        self._wakes.clear()

    @property
    def silent_seconds(self) -> float:
        """For how long there was no word of what is revoked, or that nothing is."""
        return max(0.0, self._timer() - self._heard_at)

    @property
    def _is_silent(self) -> bool:
        return self._silence is not None and self.silent_seconds > self._silence
