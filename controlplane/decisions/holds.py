"""What is held, in memory: looked up by segment and action, in step with the store."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import structlog

from controlplane.contracts.holds import EVERYWHERE, Hold
from controlplane.decisions.following import MAX_SILENCE_SECONDS, Sleep, in_step

_NOTHING: Mapping[str, Any] = {"known": True, "current": {}}
_UNKNOWN: Mapping[str, Any] = {"known": False, "current": {}}

_log = structlog.get_logger("ztfm.holds")


class HoldStore(Protocol):
    """Keeps holds; `storage.holds` does."""

    async def current(self, now: float) -> Sequence[Hold]:
        """Return the holds that last at ``now`` (Unix seconds)."""
        ...


class HoldObserver(Protocol):
    """Shows how holds stand."""

    def holding(self, current: int) -> None:
        """So many last."""
        ...


class CurrentHolds:
    """What is held where, without asking the store for each decision.

    Which of them count is decided by policy: what is given here was current when the store was looked at.

    Args:
        store: keeps holds.
        observer: shows how they stand.
        clock: Unix seconds.
        timer: seconds, never stepping back.
    """

    def __init__(
        self, store: HoldStore, observer: HoldObserver, clock: Callable[[], float], timer: Callable[[], float]
    ) -> None:
        self._store = store
        self._observer = observer
        self._clock = clock
        self._timer = timer
        self._read_at: float | None = None
        self._all: Mapping[str, Any] = _NOTHING
        self._by_place: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._all["current"])

    @property
    def is_known(self) -> bool:
        """Whether all that happened until lately is known here."""
        return self._read_at is not None and self._timer() - self._read_at <= MAX_SILENCE_SECONDS

    def of(self, segment: str | None, action: str) -> Mapping[str, Any]:
        """Return the `HoldsFact` of an action in a segment; none for a subject that nobody registered."""
        if not self.is_known:
            return _UNKNOWN
        if not self._by_place:
            return _NOTHING
        found = self._by_place.get((segment or EVERYWHERE, action))
        return found or self._by_place.get((EVERYWHERE, action), _NOTHING)

    def all(self) -> Mapping[str, Any]:
        """Return the `HoldsFact` of all holds."""
        return self._all if self.is_known else _UNKNOWN

    async def refresh(self) -> None:
        """Know what the store holds now.

        Raises:
            StoreUnavailable: it cannot be read; what was known stays.
        """
        async with self._turn:
            read_at = self._timer()
            self._take(await self._store.current(self._clock()))
            self._read_at = read_at
        self._observer.holding(len(self))

    def following(self, sleep: Sleep = asyncio.sleep) -> AbstractAsyncContextManager[None]:
        """Be in step with the store for as long as the context is entered; see `in_step`."""
        return in_step("holds", self.refresh, sleep)

    def _take(self, holds: Sequence[Hold]) -> None:
        facts = {hold.id: hold.fact().model_dump() for hold in holds}
        if facts == self._all["current"]:
            return
        for name in facts.keys() - self._all["current"].keys():
            _log.warning("held", hold=name, **facts[name])
        for name in self._all["current"].keys() - facts.keys():
            _log.info("hold_ended", hold=name)
        self._all = {"known": True, "current": facts}
        self._by_place = _by_place(facts)


def _by_place(facts: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return holds by segment and action; those for everywhere are in every place that has any."""
    places = {(fact["segment"], action) for fact in facts.values() for action in fact["actions"]}
    return {
        (segment, action): {
            "known": True,
            "current": {
                name: fact
                for name, fact in facts.items()
                if fact["segment"] in (segment, EVERYWHERE) and action in fact["actions"]
            },
        }
        for segment, action in places
    }
