"""Rounds as decisions see them: read from the store, kept for a second, members in a set."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from controlplane.contracts.rounds import Round, RoundQuery, RoundStanding

FRESH_SECONDS = 1.0


class RoundStore(Protocol):
    """Where rounds are kept."""

    async def add(self, opened: Round) -> bool:
        """Keep a new round; false when its id is taken."""
        ...

    async def get(self, round_id: str) -> Round | None:
        """Return a round, or none."""
        ...

    async def standings(self, query: RoundQuery, now: float, limit: int = 100) -> list[RoundStanding]:
        """Return rounds in numbers, newest first."""
        ...

    async def submissions(self, round_id: str, subject: str) -> int:
        """Return how many updates a subject submitted to a round."""
        ...

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        """Count one more submission for each subject and return the counts before."""
        ...

    async def give_back_submissions(self, round_id: str, subjects: Sequence[str]) -> None:
        """Count one submission less for each subject."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    found: Round
    members: frozenset[str]
    until: float


class RoundBook:
    """Looks rounds up for decisions. What it knows of a round is at most a second old."""

    def __init__(self, store: RoundStore, clock: Callable[[], float], *, capacity: int = 128) -> None:
        self._store = store
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reads: dict[str, asyncio.Task[_Known | None]] = {}

    async def open(self, opened: Round) -> bool:
        """Open a round; false when its id is taken."""
        added = await self._store.add(opened)
        # Whoever asks from now on must not join a read that began before.
        self._reads.pop(opened.id, None)
        return added

    async def get(self, round_id: str) -> Round | None:
        """Return the round, or none."""
        known = await self._look(round_id)
        return known.found if known else None

    async def standings(self, query: RoundQuery, limit: int) -> list[RoundStanding]:
        """Return rounds in numbers as they are kept, newest first, so many at most."""
        return await self._store.standings(query, self._clock(), limit)

    async def facts(self, round_id: str, subject: str) -> dict[str, Any] | None:
        """Return the `RoundFact` of ``round_id``, seen from ``subject``, or none for an unknown round."""
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
        }

    async def submissions(self, round_id: str, subject: str) -> int:
        """Return how many updates a subject submitted to a round."""
        return await self._store.submissions(round_id, subject)

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        """Count a submission for each subject; returns the counts before."""
        return await self._store.count_submissions(round_id, subjects)

    async def give_back_submissions(self, round_id: str, subjects: Sequence[str]) -> None:
        """Take back a submission of each subject, of which nothing came."""
        await self._store.give_back_submissions(round_id, subjects)

    async def _look(self, round_id: str) -> _Known | None:
        known = self._known.get(round_id)
        if known is not None and 0.0 <= known.until - self._clock() <= FRESH_SECONDS:
            return known
        read = self._reads.get(round_id)
        if read is None:
            # Many decisions of one round come at once: one of them reads it for all.
            read = self._reads[round_id] = asyncio.create_task(self._read(round_id))
            read.add_done_callback(lambda done: self._read_ended(round_id, done))
        return await asyncio.shield(read)

    async def _read(self, round_id: str) -> _Known | None:
        until = self._clock() + FRESH_SECONDS
        found = await self._store.get(round_id)
        self._known.pop(round_id, None)
        if found is None:
            return None
        while len(self._known) >= self._capacity:
            self._known.popitem(last=False)
        known = self._known[round_id] = _Known(found, frozenset(found.members), until)
        return known

    def _read_ended(self, round_id: str, read: "asyncio.Task[_Known | None]") -> None:
        if self._reads.get(round_id) is read:
            del self._reads[round_id]
        if not read.cancelled():
            # When every caller was cancelled, nobody is left to hear of a fault.
            read.exception()
