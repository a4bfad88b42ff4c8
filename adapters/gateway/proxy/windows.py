"""Judge an answer while it runs: window by window, beside the stream, and never far behind it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from types import TracebackType
from typing import Self

from adapters.gateway.interfaces import Denied, Terms
from adapters.gateway.proxy.cutting import Scope
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.refusing import Refused, busy, denied, unshaped
from adapters.gateway.proxy.shaping import stricter

Judged = Callable[[Sequence[str]], Awaitable[Terms | Denied]]
"""Says what becomes of texts of an answer."""

_MOST_PLACES = 256
_log = logging.getLogger("ztfm.proxy")


class Windows:
    """Takes the texts of a running answer, and has them judged beside it. An asynchronous context manager.

    What is passed on meanwhile cannot be called back: a denial cuts the answer, and so does a wish to black something
    out that nobody noticed while it went by.

    Args:
        judge: asked for each window.
        terms: that hold from the start.
        scope: that is cut.
        limits: how long windows are.

    Attributes:
        terms: that hold by now.
    """

    def __init__(self, judge: Judged, terms: Terms, scope: Scope, limits: Limits) -> None:
        self.terms = terms
        self._from_start = terms.redact
        self._judge = judge
        self._scope = scope
        self._limits = limits
        self._waiting: dict[Hashable, str] = {}
        self._before: dict[Hashable, str] = {}
        self._size = 0
        self._is_over = self._is_pressed = self._is_looking = False
        self._is_noticed = self._was_noticed = self._is_carried = False
        self._changed = asyncio.Condition()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._work = asyncio.create_task(self._look(), name="ztfm-proxy-windows")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    @property
    def is_full(self) -> bool:
        """Whether `take` waits until a window has been judged."""
        return self._size >= self._limits.window_chars

    @property
    def is_beyond(self) -> bool:
        """Whether more was taken at once than may go by unjudged: whoever passes it on waits for `decided`."""
        return 4 * self._size > 5 * self._limits.window_chars

    async def take(self, place: Hashable, text: str, *, is_noticed: bool = False) -> None:
        """Take a text that goes by; waits while two windows are unjudged.

        Args:
            place: where it goes on.
            text: of the answer.
            is_noticed: it shows something that may have to be blacked out, and waits for that to be decided.
        """
        if not text:
            return
        async with self._changed:
            while self.is_full:
                await self._changed.wait()
            # Too many places are one: what they say is looked at all the same.
            where = place if place in self._waiting or len(self._waiting) < _MOST_PLACES else None
            self._waiting[where] = self._waiting.get(where, "") + text
            self._size += len(text)
            self._is_noticed |= is_noticed
            self._changed.notify_all()

    async def decided(self) -> Terms:
        """Wait until all that went by so far has been judged, full window or not, and return the terms."""
        async with self._changed:
            self._is_pressed = True
            self._changed.notify_all()
            await self._changed.wait_for(lambda: not self._size and not self._is_looking)
        return self.terms

    async def finish(self) -> Terms:
        """Wait until all that went by has been judged, and return the terms."""
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._work is not None:
            await asyncio.shield(self._work)
        return self.terms

    async def _look(self) -> None:
        try:
            is_first = True
            while await self._filled(is_first=is_first):
                is_first = False
                found = await self._judge(await self._cut_off())
                if isinstance(found, Denied):
                    return self._scope.cut(denied(found))
                if not (self._was_noticed or found.redact <= self._from_start):
                    return self._scope.cut(unshaped())
                await self._took(found)
        except Refused as refused:
            self._scope.cut(refused)
        except Exception:  # noqa: BLE001 - logged, and the answer is cut
            _log.exception("an answer cannot be judged; it is cut")
            self._scope.cut(busy("unjudged"))

    async def _took(self, found: Terms) -> None:
        async with self._changed:
            self.terms = stricter(self.terms, found)
            self._is_looking = False
            self._is_pressed = self._is_pressed and bool(self._size)
            self._changed.notify_all()

    async def _filled(self, *, is_first: bool) -> bool:
        """Wait for a window that is full, or was not for too long; return whether there is one to judge."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._size or self._is_over)
            try:
                async with asyncio.timeout(self._limits.window_seconds):
                    await self._changed.wait_for(lambda: self._is_over or self._is_pressed or self.is_full)
            except TimeoutError:
                pass
            # An answer without any text is judged once all the same.
            return bool(self._size) or is_first

    async def _cut_off(self) -> list[str]:
        async with self._changed:
            texts = {place: self._before.get(place, "") + text for place, text in self._waiting.items()}
            self._waiting, self._size = {}, 0
            # What was noticed at the end of one window is at the beginning of the next.
            self._was_noticed = self._is_noticed or self._is_carried
            self._is_carried, self._is_noticed = self._is_noticed, False
            self._is_looking = True
            self._changed.notify_all()
        ends = {place: text[-self._limits.window_overlap :] for place, text in texts.items()}
        self._before = dict(list({**self._before, **ends}.items())[-_MOST_PLACES:])
        return list(texts.values())
