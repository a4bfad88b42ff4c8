"""What was decided, the log that shows it, and models whose makers vouch for them."""

from dataclasses import dataclass
from typing import Protocol

from controlplane.audit.heads import Heads
from controlplane.contracts.decision import DecisionRecord
from controlplane.decisions.models import ModelBook
from controlplane.decisions.provenance import Provenance
from controlplane.storage.decisions import Decisions
from controlplane.storage.log import Log
from controlplane.storage.models import Models
from controlplane.transparency.modelsigners import Signers


class DecisionLog(Protocol):
    """Recorded decisions."""

    async def record(
        self, decision_id: str, time: float, action: str, subject: str, outcome: str, document: bytes
    ) -> None:
        """Keep a record; it is durable when this returns."""
        ...

    async def get(self, decision_id: str) -> DecisionRecord | None:
        """Return a recorded decision, or none."""
        ...


@dataclass(frozen=True)
class TransparencyParts:
    """What keeps decisions, and proves that they are kept.

    Attributes:
        log: takes records of decisions.
        records: of decisions, as they are kept.
        entries: the transparency log, as it is kept.
        heads: signs heads of it, and proves what is in it.
        provenance: states in it who shaped a model.
    """

    log: DecisionLog
    records: Decisions
    entries: Log
    heads: Heads
    provenance: Provenance


@dataclass(frozen=True)
class ModelParts:
    """What knows models.

    Attributes:
        book: says who vouches for weights.
        versions: that somebody signed, as they are kept.
        signers: whose signatures count.
    """

    book: ModelBook
    versions: Models
    signers: Signers
