"""What sites decided by themselves, taken into the decision log: told by their devices, signed, in order, once each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from controlplane.capabilities.statements import NOTHING, read_statement, statement_digest
from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import DecisionRecord, Obligations
from controlplane.contracts.identity import Device
from controlplane.contracts.site import SiteDecision, SiteReportsTaken
from controlplane.decisions.ids import first_id

PACKAGE = "site"
"""Under which they are recorded; no policy of the control plane decides by that name."""

_MESSAGE = "The site did not show this to hold, by its own policy and on its own machine."
_REMEDY = "Ask the site's owner: ztfm site log says more there."


class SiteRecorder(Protocol):
    """Keeps records durably, and has those that were kept."""

    async def record(
        self, decision_id: str, time: float, action: str, subject: str, outcome: str, document: bytes
    ) -> None:
        """Return once the record is durable."""
        ...

    async def get(self, decision_id: str) -> DecisionRecord | None:
        """Return a record, or none."""
        ...


class SiteObserver(Protocol):
    """Counts what sites decided."""

    def site_decided(self, decision: SiteDecision, segment: str) -> None:
        """A decision of a site in a segment is on record."""
        ...

    def site_statements(self, taken: SiteReportsTaken) -> None:
        """A report was taken in."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a statement stands in the decision log.

    Attributes:
        id: follows from what is stated, so that the same statement has the same.
        time: as stated, and no later than now: nobody puts itself before what comes.
    """

    id: str
    time: float

    @classmethod
    def of(cls, statement: str, stated_at: float, now: float) -> "Placed":
        """Return the place of a statement that was made at a time (Unix seconds)."""
        time = min(stated_at, now)
        return cls(_name(statement_digest(statement), time), time)


async def take_in(
    recorder: SiteRecorder, observer: SiteObserver, device: Device, statements: Sequence[str], now: float
) -> SiteReportsTaken:
    """Put on record what a device says that its site decided, in its order; what is on record already is passed over.

    Args:
        recorder: the decision log.
        observer: counts.
        device: that hands them in, and whose key must have signed them.
        statements: untrusted.
        now: Unix seconds.

    Raises:
        AuditUnavailable: one cannot be recorded; those before it are, and are known when all are handed in again.
    """
    taken = known = refused = 0
    for statement in statements:
        decision = read_statement(statement, device.key_thumbprint)
        if decision is None:
            refused += 1
            continue
        placed = Placed.of(statement, decision.time, now)
        if await recorder.get(placed.id) is not None:
            known += 1
            continue
        record = recorded(statement, decision, placed, device, await _is_linked(recorder, decision, now), now)
        document = orjson.dumps(record.model_dump(mode="json"))
        await recorder.record(record.id, record.time, PACKAGE, record.subject, record.outcome, document)
        observer.site_decided(decision, device.segment)
        taken += 1
    found = SiteReportsTaken(taken=taken, known=known, refused=refused)
    observer.site_statements(found)
    return found


def recorded(
    statement: str, decision: SiteDecision, placed: Placed, device: Device, is_linked: bool, now: float
) -> DecisionRecord:
    """Return a site's decision as the decision log keeps it; the facts behind it stay at the site."""
    reasons = [AccessReason(code=f"site:{code}", message=_MESSAGE, remedy=_REMEDY) for code in decision.reasons]
    facts: dict[str, Any] = {
        "subject": {"type": "device", "id": device.id, "properties": {"segment": device.segment}},
        "action": {"name": f"site:{decision.action}"},
        "resource": {"type": "model", "id": decision.model, "properties": {}},
        "site": {
            **decision.model_dump(mode="json", exclude={"subject", "action", "model"}),
            "is_linked": is_linked,
            "received_at": now,
            "statement": statement,
        },
    }
    return DecisionRecord(
        id=placed.id,
        time=placed.time,
        action=f"site:{decision.action}",
        subject=device.id,
        resource=decision.model,
        outcome="allow" if decision.outcome == "allow" else "deny",
        reasons=reasons,
        obligations=Obligations(),
        rules=[],
        ttl_seconds=0.0,
        policy_revision=f"site:{decision.policy_revision or 'none'}",
        facts=facts,
    )


async def _is_linked(recorder: SiteRecorder, decision: SiteDecision, now: float) -> bool:
    """Whether the statement that a decision follows is on record, or it is the first of its chain."""
    if decision.sequence == 1:
        return decision.previous == NOTHING
    return await recorder.get(_name(decision.previous, min(decision.previous_time, now))) is not None


def _name(digest: str, time: float) -> str:
    return first_id("dec", time) + digest.removeprefix("sha256:")[:20]
