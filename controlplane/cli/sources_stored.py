"""What the store of this machine has on record, whether or not a control plane serves it."""

import time
from typing import get_args

from controlplane.audit.looking import look
from controlplane.audit.reading import read_record
from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.decision import Decision, DecisionQuery, DecisionRecord
from controlplane.contracts.rounds import RoundQuery, RoundStanding
from controlplane.contracts.standing import BehaviourStanding, StandingOrder
from controlplane.decisions.logged import wanted_by
from controlplane.storage import Store
from controlplane.storage.decisions import LAST_ID, FoundRecords

MAX_LOOKS = 100
"""Each look goes through 20,000 records at most."""


class StoredRecords:
    """Reads the store. Whoever can, is on this machine and holds its keys: no policy is asked, and nothing recorded."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def is_own(self, decision: Decision) -> bool:
        """Whether a decision is on record only because it was asked for decisions here: none is."""
        return False

    async def decisions(self, query: DecisionQuery, limit: int) -> tuple[list[Decision], bool]:
        """Return the newest decisions that a query wants, and whether older ones were not looked at.

        Raises:
            AuditUnavailable: a record is damaged.
            StoreUnavailable: the store failed.
        """
        found: list[Decision] = []
        before = LAST_ID

        async def _page_of(place: str, size: int, scan: int) -> FoundRecords:
            return await self._store.decisions.page(wanted_by(query, place), size, scan)

        for _ in range(MAX_LOOKS):
            seen = await look(_page_of, query, before, limit - len(found))
            found += seen.decisions
            if seen.before is None:
                return found, False
            before = seen.before
            if len(found) >= limit:
                break
        return found, True

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Return a decision with the facts behind it, or none.

        Raises:
            AuditUnavailable: the record is damaged.
            StoreUnavailable: the store failed.
        """
        document = await self._store.decisions.get(decision_id)
        return None if document is None else read_record(decision_id, document)

    async def standings(
        self, state: BehaviourState | None, segment: str | None, order: StandingOrder, limit: int
    ) -> list[BehaviourStanding]:
        """Return how subjects stand."""
        return await self._store.behaviour.standings(state, limit, segment=segment, order=order)

    async def subjects(self) -> dict[str, int] | None:
        """Return how many observed subjects stand where."""
        counts = await self._store.behaviour.counts()
        return {state: counts.get(state, 0) for state in get_args(BehaviourState)}

    async def rounds(self, query: RoundQuery, limit: int) -> list[RoundStanding]:
        """Return rounds in numbers, newest first."""
        return await self._store.rounds.standings(query, time.time(), limit)
