"""Look through the decision log, newest first, a bounded way at a time."""

from dataclasses import dataclass

from controlplane.audit.interfaces import PageOf
from controlplane.audit.reading import read_record
from controlplane.contracts.decision import Decision, DecisionQuery

MAX_SCAN = 20_000
"""Records that one look goes through at most; where what is wanted is rarer, the next look goes on."""

MAX_READ = 2_048
"""Documents that one look opens at most."""

_CHUNK = 128


@dataclass(frozen=True)
class Look:
    """What a look found.

    Attributes:
        decisions: newest first.
        before: where the next look begins; none at the end.
    """

    decisions: list[Decision]
    before: str | None


async def look(page_of: PageOf, query: DecisionQuery, before: str, limit: int) -> Look:
    """Return up to ``limit`` decisions that ``query`` wants.

    Args:
        page_of: pages of the records that the store's columns let through.
        query: decides over each, also about what no column holds.
        before: begin with the newest whose id comes before this one.
        limit: decisions at most.

    Raises:
        AuditUnavailable: a stored record is damaged.
    """
    found: list[Decision] = []
    place: str | None = before
    read = 0
    while place is not None and len(found) < limit and read < MAX_READ:
        size = max(_CHUNK, limit)
        page = await page_of(place, size, MAX_SCAN)
        for identifier, recorded_as, document in page.records:
            decision = _parse(identifier, document)
            place = identifier
            if wants(query, decision, recorded_as):
                found.append(decision)
                if len(found) == limit:
                    return Look(found, place)
        place = page.before
        read += len(page.records)
        if len(page.records) < size:
            # The page ended at its reach, or at the end of the log: that was a whole look.
            break
    return Look(found, place)


def wants(query: DecisionQuery, decision: Decision, recorded_as: str) -> bool:
    """Whether ``query`` wants a decision that was recorded under an action, or under the package of many actions."""
    return (
        query.action in (None, decision.action, recorded_as)
        and query.outcome in (None, decision.outcome)
        and query.subject in (None, decision.subject)
        and query.resource in (None, decision.resource)
        and query.revision in (None, decision.policy_revision)
        and (query.reason is None or any(reason.code == query.reason for reason in decision.reasons))
        and (query.since is None or decision.time >= query.since)
        and (query.until is None or decision.time < query.until)
    )


def _parse(identifier: str, document: bytes) -> Decision:
    record = read_record(identifier, document)
    return Decision(**record.model_dump(include=set(Decision.model_fields)))
