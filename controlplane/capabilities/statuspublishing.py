"""Publish Token Status Lists: which places are set follows from what is void and from what was decided."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from controlplane.capabilities.revocations import CLOCKS_SECONDS
from controlplane.capabilities.statuslist import list_uri, place_of, read_place, window_of
from controlplane.capabilities.statustokens import sign_list
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS
from controlplane.contracts.events import REACH_SECONDS, Revocation, RevocationKind
from controlplane.jose.keys import SigningKey

FRESH_SECONDS = 1.0
"""How long a list is served as it was made."""

SETTLED_SECONDS = 5.0
"""So long after a subject's capabilities ended its decisions are all on record, and are not looked for again."""

_Place = tuple[int, int]


class StatusStore(Protocol):
    """Knows what is void."""

    async def live(self, now: float, kinds: Collection[RevocationKind]) -> Sequence[Revocation]:
        """Return what is void at ``now`` (Unix seconds), of some kinds."""
        ...


class DecisionSource(Protocol):
    """Knows what was decided."""

    async def allowed(self, subjects: Collection[str], since: float, until: float) -> Sequence[tuple[str, float, str]]:
        """Return subject, time (Unix seconds) and id of what was allowed to ``subjects`` within a time."""
        ...


class StatusLists:
    """The lists of the capabilities that can still live, each made at most once a second.

    A call raises what the stores raise.

    Args:
        store: knows what is void.
        decisions: knows what was decided.
        issuer: the control plane's public URL.
        current_key: returns the key that signs now.
        clock: Unix seconds.
    """

    def __init__(
        self,
        store: StatusStore,
        decisions: DecisionSource,
        issuer: str,
        current_key: Callable[[], SigningKey],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._decisions = decisions
        self._issuer = issuer
        self._current_key = current_key
        self._clock = clock
        self._looked_at = 0.0
        self._places: set[_Place] = set()
        self._tokens: dict[tuple[int, str], str] = {}
        self._settled: dict[tuple[str, float], frozenset[_Place]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def token(self, window: int) -> str | None:
        """Return the token of a list, at most a second old; none when no capability that lives stands in it."""
        now = self._clock()
        if not window_of(now - MAX_LIFETIME_SECONDS - CLOCKS_SECONDS) <= window <= window_of(now + CLOCKS_SECONDS):
            return None
        async with self._one_at_a_time:
            now, key = self._clock(), self._current_key()
            if not 0.0 <= now - self._looked_at < FRESH_SECONDS:
                self._places = await self._look(now)
                self._tokens = {}
                self._looked_at = now
            known = self._tokens.get((window, key.kid))
            if known is None:
                places = (place for listed, place in self._places if listed == window)
                known = sign_list(key, self._issuer, list_uri(self._issuer, window), places, self._looked_at)
                self._tokens[window, key.kid] = known
        return known

    async def _look(self, now: float) -> set[_Place]:
        live = await self._store.live(now, ("place", "subject"))
        subjects = {(one.value, one.revoked_at) for one in live if one.kind == "subject"}
        self._settled = {ended: places for ended, places in self._settled.items() if ended in subjects}
        found = {read_place(one.value) for one in live if one.kind == "place"}
        found.update(*self._settled.values())
        for ended, places in (await self._recent(subjects - self._settled.keys())).items():
            found |= places
            if now > ended[1] + SETTLED_SECONDS:
                self._settled[ended] = frozenset(places)
        return found

    async def _recent(self, subjects: Collection[tuple[str, float]]) -> dict[tuple[str, float], set[_Place]]:
        """Return where the capabilities stand that subjects held when these ended."""
        until = dict(sorted(subjects))
        if not until:
            return {}
        since = min(until.values()) - REACH_SECONDS - MAX_LIFETIME_SECONDS - CLOCKS_SECONDS
        allowed = await self._decisions.allowed(until.keys(), since, max(until.values()))
        places: dict[tuple[str, float], set[_Place]] = {ended: set() for ended in until.items()}
        for subject, time, decision_id in allowed:
            if time <= until[subject]:
                places[subject, until[subject]].update(_standing_of(decision_id, time))
        return places


def _standing_of(decision_id: str, time: float) -> Iterable[_Place]:
    # A capability is minted a little after its decision; near the end of a window it may stand in the next one.
    place = place_of(decision_id)
    return {(window_of(at), place) for at in (time - SETTLED_SECONDS, time, time + SETTLED_SECONDS)}
