"""The granted exceptions that have not ended, in memory: looked up by request, in step with the store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog

from controlplane.contracts.exceptions import DAY_SECONDS, MAX_ALIKE
from controlplane.decisions.exceptionuses import ExceptionUses
from controlplane.decisions.following import MAX_SILENCE_SECONDS, Sleep, again, in_step
from controlplane.storage.exceptions import MAX_LIVE, LiveException, Mark, Uses

ENDING_EVERY_SECONDS = 60.0
PAGE = 1000
MAX_LOGGED = 100

_Request = tuple[str, str, str]

_log = structlog.get_logger("ztfm.exceptions")


class ExceptionStore(Protocol):
    """Keeps granted exceptions; `storage.exceptions` does."""

    async def mark(self, now: float) -> Mark:
        """Return what becomes another when an exception is granted, revoked or has ended."""
        ...

    async def revoked(self, now: float) -> set[str]:
        """Return the ids of those that were revoked and would not have ended."""
        ...

    async def live(self, now: float, after: str = "", limit: int = PAGE) -> Sequence[LiveException]:
        """Return exceptions that have not ended, in order of id."""
        ...

    async def used(self, uses: Mapping[str, Uses]) -> None:
        """Count uses by id."""
        ...

    async def ending(self, now: float, within: float) -> int:
        """Return how many end within some seconds and were used as shortly before."""
        ...


class ExceptionObserver(Protocol):
    """Shows how exceptions stand."""

    def excepting(self, live: int, age_seconds: float) -> None:
        """So many have not ended, as was read so long ago."""
        ...

    def exceptions_ending(self, ending: int) -> None:
        """So many are in use and end within a day."""
        ...


class CurrentExceptions:
    """What is excepted for whom, without asking the store for each decision.

    Args:
        store: keeps exceptions.
        uses: what is to be counted there.
        observer: shows how they stand.
        clock: Unix seconds.
        timer: seconds, never stepping back.
        most: exceptions that are held; the oldest, when there are more.
    """

    def __init__(
        self,
        store: ExceptionStore,
        uses: ExceptionUses,
        observer: ExceptionObserver,
        clock: Callable[[], float],
        timer: Callable[[], float],
        most: int = MAX_LIVE,
    ) -> None:
        self._store = store
        self._uses = uses
        self._observer = observer
        self._clock = clock
        self._timer = timer
        self._most = most
        self._by_request: dict[_Request, dict[str, LiveException]] = {}
        self._requests: dict[str, _Request] = {}
        self._facts: dict[str, dict[str, Any] | None] = {}
        self._mark: Mark | None = None
        self._read_at: float | None = None
        self._ending_at: float | None = None
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def age_seconds(self) -> float:
        """Seconds since all that happened until then was known here; infinite before it ever was."""
        return float("inf") if self._read_at is None else max(0.0, self._timer() - self._read_at)

    def of(self, subject: str, resource: str, action: str, now: float) -> dict[str, dict[str, Any]]:
        """Return the facts of the exceptions that are current at ``now`` (Unix seconds) for a request, by id."""
        found = self._by_request.get((subject, resource, action))
        if not found or self.age_seconds > MAX_SILENCE_SECONDS:
            return {}
        current = [live for live in found.values() if live.starts_at <= now < live.ends_at][:MAX_ALIKE]
        return {live.id: fact for live in current if (fact := self._fact(live)) is not None}

    async def refresh(self) -> None:
        """Know what the store holds now.

        Raises:
            StoreUnavailable: it cannot be read; what was known stays.
        """
        async with self._turn:
            read_at, now = self._timer(), self._clock()
            mark = await self._store.mark(now)
            if mark != self._mark:
                # What is revoked ends before all is read again, however much that is.
                self._drop(await self._store.revoked(now))
                await self._read(now)
                self._mark = mark
            self._read_at = read_at

    async def flush(self) -> None:
        """Write which exceptions were used.

        Raises:
            Exception: they could not be written, and wait for the next time.
        """
        taken = self._uses.take()
        try:
            await self._store.used(taken)
        except Exception:
            self._uses.give_back(taken)
            raise

    @asynccontextmanager
    async def following(self, sleep: Sleep = asyncio.sleep) -> AsyncIterator[None]:
        """Be in step with the store for as long as the context is entered; uses are written when it is left.

        Raises:
            StoreUnavailable: the exceptions cannot be read to begin with.
        """
        async with in_step("exceptions", self._look, sleep):
            try:
                # Not within a time: of a writing that is given up nobody knows whether it was done.
                async with again("exceptions", "exceptions_not_in_step", self._count, sleep):
                    yield
            finally:
                # What a cancelled task was writing is written all the same; this is the rest.
                try:
                    await self.flush()
                except Exception as error:  # noqa: BLE001 - nothing else may be kept from ending
                    _log.error("exception_uses_lost", error=type(error).__name__)

    async def _look(self) -> None:
        try:
            await self.refresh()
        finally:
            self._observer.excepting(len(self), self.age_seconds)

    async def _count(self) -> None:
        await self.flush()
        if self._ending_at is None or self._timer() - self._ending_at >= ENDING_EVERY_SECONDS:
            self._ending_at = self._timer()
            self._observer.exceptions_ending(await self._store.ending(self._clock(), DAY_SECONDS))

    async def _read(self, now: float) -> None:
        by_request: dict[_Request, dict[str, LiveException]] = {}
        requests: dict[str, _Request] = {}
        after = ""
        while len(requests) < self._most:
            page = await self._store.live(now, after, min(PAGE, self._most - len(requests)))
            for live in page:
                request = requests[live.id] = live.subject, live.resource, live.action
                by_request.setdefault(request, {})[live.id] = live
            if len(page) < PAGE:
                break
            after = page[-1].id
        if self._mark is not None:
            for name in list(requests.keys() - self._requests.keys())[:MAX_LOGGED]:
                live = by_request[requests[name]][name]
                _log.info("exception_known", **live._asdict())
        self._by_request, self._requests, self._facts = by_request, requests, {}

    def _drop(self, revoked: set[str]) -> None:
        for name in revoked & self._requests.keys():
            del self._by_request[self._requests.pop(name)][name]
            _log.info("exception_ended_early", id=name)

    def _fact(self, live: LiveException) -> dict[str, Any] | None:
        if live.id not in self._facts:
            try:
                self._facts[live.id] = live.fact().model_dump()
            except (ValueError, TypeError):
                _log.error("exception_not_understood", exception=live.id, remedy="revoke it and grant it anew")
                self._facts[live.id] = None
        return self._facts[live.id]
