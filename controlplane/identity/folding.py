"""What a ledger's records come to, one after another: pure, and the same for a control plane and whoever checks it."""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass

from controlplane.identifiers.histories import Identity, RecordRefused, judge
from controlplane.identifiers.records import Record, RecordInvalid
from controlplane.identity.ledgers.interface import Anchored

UNREADABLE = "unreadable"
"""Why something that is no record changes nothing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A record of a ledger, judged.

    Attributes:
        anchored: it, with its place.
        record: it, read; none where it is none.
        refusal: why it changes nothing; empty when it counts.
        why: the same as a sentence.
    """

    anchored: Anchored
    record: Record | None
    refusal: str = ""
    why: str = ""

    @property
    def subject(self) -> str:
        """Whose identity it is about; empty where it is no record."""
        return "" if self.record is None else self.record.statement.subject


def read(anchored: Anchored) -> Record | None:
    """Return a record of a ledger, read; none where it is none."""
    try:
        return anchored.record.read()
    except RecordInvalid:
        return None


def fold(found: Iterable[Anchored], federation: str, known: MutableMapping[str, Identity]) -> list[Judged]:
    """Judge records in order, and bring what is known up to them.

    Args:
        found: records, in the ledger's order.
        federation: that is followed.
        known: identities by name, founders among them; of those that the records are about, all that there are. Those
            that change are replaced.
    """
    judged = []
    for anchored in found:
        record = read(anchored)
        if record is None:
            judged.append(Judged(anchored, None, UNREADABLE, "it is no record of an identity"))
            continue
        said = record.statement
        try:
            known[said.subject] = judge(record, federation, known.get(said.subject), known.get(said.issuer))
        except RecordRefused as refusal:
            judged.append(Judged(anchored, record, refusal.cause, str(refusal)))
        else:
            judged.append(Judged(anchored, record))
    return judged
