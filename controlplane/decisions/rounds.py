"""Rounds as decisions see them: read from the store, kept for a second, members in a set."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from controlplane.contracts.rounds import Round


class RoundStore(Protocol):
    """Where rounds are kept."""

    async def add(self, opened: Round) -> bool:
        """Keep a new round; false when its id is taken."""
        ...

    async def get(self, round_id: str) -> Round | None:
        """Return a round, or none."""
        ...

    async def submissions(self, round_id: str, subject: str) -> int:
        """Return how many updates a subject submitted to a round."""
        ...

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        """Count one more submission for each subject and return the counts before."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    found: Round
    members: frozenset[str]
    until: float


class RoundBook:
    """Looks rounds up for decisions. What it knows of a round is at most a second old."""

    def __init__(self, store: RoundStore, clock: Callable[[], float], *, capacity: int = 1024) -> None:
        self._store = store
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def open(self, opened: Round) -> bool:
        """Open a round; false when its id is taken."""
        return await self._store.add(opened)

    async def get(self, round_id: str) -> Round | None:
        """Return the round, or none."""
        known = await self._look(round_id)
        return known.found if known else None

    async def facts(self, round_id: str, subject: str, submissions: int | None = None) -> dict[str, Any] | None:
        """Return the `RoundFact` of ``round_id`` for ``subject``, or none for an unknown round.

        Args:
            round_id: the round.
            subject: from whose side it is seen.
            submissions: what the subject submitted before, where the caller counted it already.
        """
        known = await self._look(round_id)
        if known is None:
            return None
        found = known.found
        return {
            "id": found.id,
            "state": found.state,
            "model": found.model,
            "model_digest": found.model_digest,
            "opens_at": found.opens_at,
            "closes_at": found.closes_at,
            "member": subject in known.members,
            "submissions": await self._store.submissions(round_id, subject) if submissions is None else submissions,
        }

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        """Count a submission for each subject; returns the counts before."""
        return await self._store.count_submissions(round_id, subjects)

    async def _look(self, round_id: str) -> _Known | None:
        now = self._clock()
        known = self._known.get(round_id)
        if known is not None and now < known.until:
            return known
        found = await self._store.get(round_id)
        if found is None:
            self._known.pop(round_id, None)
            return None
        while len(self._known) >= self._capacity:
            self._known.popitem(last=False)
        known = self._known[round_id] = _Known(found, frozenset(found.members), now + 1.0)
        return known
