"""Rollbacks as they are ordered: by a person, or by the policy that responds to behaviour; and what waits."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from controlplane.contracts.rollback import Rollback, RollbackPreview, RollbackResult, RollbackState
from controlplane.contracts.rounds import Round
from controlplane.decisions.following import Sleep, again
from controlplane.decisions.ids import new_id
from controlplane.storage.rollbacks import OTHER_WEIGHTS, Reached, Waiting
from controlplane.storage.undoing import Ordered, Undoing

PREFIX = "rb"
POLICY = "policy"
"""Who orders what the response policy asks for."""

POLICY_REASON = "the response policy undoes what a subject contributed"

EVERY_SECONDS = 10.0
"""How often it is looked how long orders wait."""

MOST_ROUNDS_SHOWN = 1000

_log = structlog.get_logger("ztfm.rollbacks")


class RollbackStore(Protocol):
    """Keeps orders; `storage.rollbacks` does."""

    async def order(self, wanted: Rollback) -> Ordered | None:
        """Keep an order, or what of it is not outstanding; none where nobody in it contributed."""
        ...

    async def outstanding(self, model: str, aggregator: str | None = None) -> list[Rollback]:
        """Return what is ordered for a model and not done."""
        ...

    async def end(self, rollback_id: str, result: RollbackResult, now: float) -> bool:
        """Keep what became of an order; false when there is none that is outstanding."""
        ...

    async def contradict(self, opened: Round) -> list[str]:
        """Have orders failed whose stated weights no round has begun with, and return which."""
        ...

    async def get(self, rollback_id: str) -> Rollback | None:
        """Return an order, or none."""
        ...

    async def page(
        self, model: str | None = None, state: RollbackState | None = None, limit: int = 100
    ) -> list[Rollback]:
        """Return orders, newest first."""
        ...

    async def reached(self, subjects: Collection[str], round_id: str) -> Reached:
        """Return what an order would reach."""
        ...

    async def waiting(self) -> Waiting:
        """Return how many orders are not done, and since when the oldest waits."""
        ...


class RollbackObserver(Protocol):
    """Counts rollbacks."""

    def rollback(self, outcome: str) -> None:
        """One was ``ordered``, ``done`` or ``failed``."""
        ...

    def rollbacks_waiting(self, count: int, age_seconds: float) -> None:
        """So many are not done, the oldest of which was ordered so long ago."""
        ...


class RollbackBook:
    """Gives orders, hands them out, and ends them.

    Args:
        store: keeps orders.
        observer: counts them; none counts nothing, as on the command line.
        clock: Unix seconds.
    """

    def __init__(
        self,
        store: RollbackStore,
        observer: RollbackObserver | None,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._observer, self._clock = store, observer, clock

    def undoing(self, subject: str, model: str, rounds: int, decision_id: str) -> Undoing:
        """Return the order that the response policy asks for: undo a subject's updates to a model's latest rounds.

        It is given in the transaction that keeps the response, and `committed` is told of it then.

        Args:
            subject: whose.
            model: which.
            rounds: how many of its latest rounds.
            decision_id: of the policy's decision.
        """
        now = self._clock()
        return Undoing(new_id(PREFIX, now), model, rounds, subject, POLICY_REASON, POLICY, now, decision_id)

    def committed(self, wanted: Sequence[Undoing], given: Sequence[tuple[Ordered, ...]]) -> None:
        """Count and log what became of orders in a transaction that was committed.

        Args:
            wanted: as they were asked for.
            given: what became of each, by aggregator; nothing where there was nothing to undo.
        """
        for one, by_aggregator in zip(wanted, given, strict=True):
            for ordered in by_aggregator:
                self._tell(one.model, [one.subject], ordered)

    async def request(
        self, round_id: str, model: str, subjects: Sequence[str], reason: str, by: str, decision_id: str
    ) -> Ordered | None:
        """Order that what some subjects contributed in or after a round be undone by the aggregator that opened it.

        Args:
            round_id: the first round.
            model: its model.
            subjects: whose updates.
            reason: why.
            by: who orders it.
            decision_id: of the decision that allows it.

        Returns:
            What became of it; none, with nothing ordered, where none of them contributed to these rounds.

        Raises:
            StoreUnavailable: it could not be kept.
        """
        now = self._clock()
        wanted = Rollback(
            id=new_id(PREFIX, now),
            model=model,
            round_id=round_id,
            subjects=sorted(set(subjects)),
            reason=reason,
            ordered_by=by,
            ordered_at=now,
            decision_id=decision_id,
            state="ordered",
        )
        given = await self._store.order(wanted)
        if given is not None:
            self._tell(model, wanted.subjects, given)
        return given

    async def outstanding(self, model: str, aggregator: str | None = None) -> list[Rollback]:
        """Return what is ordered for a model and not done, oldest first.

        Args:
            model: which.
            aggregator: orders that begin with a round that this one opened; none for any.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        return await self._store.outstanding(model, aggregator)

    async def preview(self, found: Round, subjects: Sequence[str]) -> RollbackPreview:
        """Return what an order would reach that begins with a round and leaves some subjects out.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        reached = await self._store.reached(subjects, found.id)
        return RollbackPreview(
            round_id=found.id,
            model=found.model,
            opened_by=found.opened_by,
            replayed=len(reached.rounds),
            rounds=reached.rounds[:MOST_ROUNDS_SHOWN],
            left_out=reached.left_out,
            kept=reached.kept,
        )

    async def get(self, rollback_id: str) -> Rollback | None:
        """Return an order, or none."""
        return await self._store.get(rollback_id)

    async def page(self, model: str | None, state: RollbackState | None, limit: int) -> list[Rollback]:
        """Return orders, newest first: of one model, in one state, so many at most."""
        return await self._store.page(model, state, limit)

    async def end(self, rollback: Rollback, result: RollbackResult) -> bool:
        """Keep what became of an order; false when it was not outstanding, or begins earlier now.

        Raises:
            StoreUnavailable: it could not be kept.
        """
        is_ended = await self._store.end(rollback.id, result, self._clock())
        if is_ended:
            self._count(result.state)
            shown = {**_shown(rollback), **result.model_dump(exclude_none=True)}
            (_log.warning if result.state == "done" else _log.error)("rollback_ended", **shown)
        return is_ended

    async def began(self, opened: Round) -> None:
        """Have orders failed that were said to be done, where a round now begins with other weights than were stated.

        An aggregator's word ends an order, and the next round that it opens shows whether it held. A round is not kept
        from being opened for it: a person sees the order failed, and gives another.

        Raises:
            StoreUnavailable: they cannot be compared; the next round does it.
        """
        for name in await self._store.contradict(opened):
            self._count("failed")
            stated = {"id": name, "model": opened.model, "round_id": opened.id, "opened_by": opened.opened_by}
            _log.error("rollback_not_carried_out", **stated, fault=OTHER_WEIGHTS, remedy="order it anew")

    def following(self, sleep: Sleep = asyncio.sleep) -> AbstractAsyncContextManager[None]:
        """Show how long orders wait, for as long as the context is entered.

        What waits is handed out with the next report, also where it cannot be shown.
        """
        return again("rollbacks", "rollbacks_not_read", self._look, sleep, every=EVERY_SECONDS)

    def _tell(self, model: str, subjects: Sequence[str], given: Ordered) -> None:
        if given.rollback is None:
            _log.error("rollback_not_ordered", model=model, subjects=subjects, remedy="too many wait already")
        elif given.is_new:
            self._count("ordered")
            _log.warning("rollback_ordered", **_shown(given.rollback))

    def _count(self, outcome: str) -> None:
        if self._observer is not None:
            self._observer.rollback(outcome)

    async def _look(self) -> None:
        found = await self._store.waiting()
        age = 0.0 if found.oldest_at is None else max(0.0, self._clock() - found.oldest_at)
        if self._observer is not None:
            self._observer.rollbacks_waiting(found.orders, age)


def _shown(rollback: Rollback) -> dict[str, object]:
    return rollback.model_dump(include={"id", "model", "round_id", "subjects", "reason", "ordered_by", "decision_id"})
