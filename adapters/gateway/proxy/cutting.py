"""End what is under way from outside: when its capability lapses, or its content may not go on."""

import asyncio
import logging
from types import TracebackType
from typing import Self

from adapters.gateway.proxy.refusing import Refused, busy, lapsed
from adapters.web.admission import Admitted
from adapters.web.point import EnforcementPoint

_log = logging.getLogger("ztfm.proxy")


class Scope:
    """An asynchronous context that `cut` ends from another task: it then raises the reason.

    Attributes:
        reason: why it was cut; none while it was not.
    """

    def __init__(self) -> None:
        self.reason: Refused | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self.reason is None or task is None:
            return
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self.reason

    def cut(self, reason: Refused) -> None:
        """End what is under way; the first reason counts."""
        if self._task is not None and self.reason is None:
            self.reason = reason
            self._task.cancel()


class Watch:
    """Looks several times a second whether the capabilities of what is under way still hold, and cuts what lapsed.

    Args:
        point: knows how they stand.
        seconds: between two looks.
    """

    def __init__(self, point: EnforcementPoint, seconds: float) -> None:
        self._point = point
        self._seconds = seconds
        self._scopes: dict[Scope, Admitted] = {}
        self._work: asyncio.Task[None] | None = None

    def add(self, scope: Scope, admitted: Admitted) -> None:
        """Watch what is under way for one request, from now until `remove`."""
        self._scopes[scope] = admitted
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._look(), name="ztfm-proxy-watch")

    def remove(self, scope: Scope) -> None:
        """Watch it no longer."""
        self._scopes.pop(scope, None)

    async def close(self) -> None:
        """Look no longer; what is under way is cut."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        self._cut_all()

    async def _look(self) -> None:
        try:
            while self._scopes:
                await asyncio.sleep(self._seconds)
                for scope, admitted in list(self._scopes.items()):
                    cause = self._point.lapsed(admitted)
                    if cause is not None:
                        scope.cut(lapsed(cause))
        except Exception:
            # Nobody would look any more: what runs unwatched does not run on.
            _log.exception("the standing of capabilities cannot be looked at; all that is under way is cut")
            self._cut_all()
            raise

    def _cut_all(self) -> None:
        for scope in list(self._scopes):
            scope.cut(busy("unwatched"))
