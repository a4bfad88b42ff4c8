"""Who shaped a model, round by round: stated and signed when the next round begins with what came out."""

import logging
from collections.abc import Sequence

from controlplane.contracts.rollback import Contribution, Rollback
from controlplane.contracts.rounds import Round
from controlplane.storage import Store
from controlplane.transparency.notes import Signer, Verifier
from controlplane.transparency.statements import (
    Contributed,
    RoundProvenance,
    StatementInvalid,
    Undone,
    sign_statement,
    verify_statement,
)

_log = logging.getLogger("ztfm.provenance")

MOST_ROUNDS = 10_000
"""Rounds that a trace goes back at most."""

_AT_ONCE = 500


class Provenance:
    """States rounds' provenance, in the log.

    Args:
        store: rounds, contributions, rollbacks, decisions and the log.
        signer: the log's key.
    """

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    async def began(self, opened: Round) -> RoundProvenance | None:
        """State the round before one that was opened, once; return what was stated, or none where there was none.

        Raises:
            StoreUnavailable: the store failed; the next round states its own predecessor alone.
        """
        before = await self._store.rounds.before(opened)
        if before is None or await self._store.log.find(before.id, "provenance") is not None:
            return None
        contributions = await self._store.contributions.of_round(before.id)
        undone = await self._store.rollbacks.done_between(before.model, before.opens_at, opened.opens_at)
        stated = _stated(before, opened, contributions, undone, await self._revisions(contributions))
        envelope = sign_statement(stated.statement(), self._signer)
        await self._store.log.append("provenance", [(before.id, opened.opens_at, envelope)])
        return stated

    async def _revisions(self, contributions: Sequence[Contribution]) -> list[str]:
        found: dict[str, None] = {}
        names = [one.decision_id for one in contributions]
        for start in range(0, len(names), _AT_ONCE):
            revisions = await self._store.decisions.revisions(names[start : start + _AT_ONCE])
            found |= dict.fromkeys(revisions)
        return list(found)


async def trace(store: Store, digest: str, key: Verifier) -> list[RoundProvenance]:
    """Return the rounds that led to a model, the latest first; empty where no stated round led to it.

    Args:
        store: the log.
        digest: of the model's weights.
        key: the log's.

    Raises:
        StatementInvalid: what the log holds is not what was signed.
    """
    found: list[RoundProvenance] = []
    wanted = digest
    while len(found) < MOST_ROUNDS:
        one = await _leading_to(store, wanted, key, found)
        if one is None:
            return found
        found.append(one)
        wanted = one.before
    return found


async def _leading_to(
    store: Store, digest: str, key: Verifier, found: Sequence[RoundProvenance]
) -> RoundProvenance | None:
    seen = {one.round_id for one in found}
    for round_id in await store.rounds.before_models(digest):
        kept = await store.log.find(round_id, "provenance")
        if kept is None or kept.document is None or round_id in seen:
            continue
        stated = verify_statement(kept.document, key)
        if (stated.round_id, stated.after) != (round_id, digest):
            raise StatementInvalid(f"what is kept for round {round_id} is about something else")
        return stated
    return None


def _stated(
    before: Round,
    opened: Round,
    contributions: Sequence[Contribution],
    undone: Sequence[Rollback],
    revisions: list[str],
) -> RoundProvenance:
    return RoundProvenance(
        round_id=before.id,
        model=before.model,
        before=before.model_digest,
        after=opened.model_digest,
        aggregator=before.opened_by,
        aggregation=before.aggregation,
        opened_at=before.opens_at,
        policy_revisions=revisions,
        contributions=[
            Contributed(
                subject=one.subject, update_digest=one.update_digest, decision_id=one.decision_id, time=one.time
            )
            for one in contributions
        ],
        rollbacks=[
            Undone(id=one.id, subjects=one.subjects, decision_id=one.decision_id, model_digest=one.model_digest)
            for one in undone
            if one.model_digest is not None
        ],
    )
