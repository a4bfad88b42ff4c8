"""Check a whole ledger from outside: every signature, the order, and that it only ever grew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.histories import Identity, founders
from controlplane.identity.folding import fold
from controlplane.identity.ledgers.interface import Anchored, Ledger, LedgerLied

MOST_FAULTS = 100

What = Literal["ledger", "record", "registry"]


@dataclass(frozen=True)
class Fault:
    """Something that does not hold.

    Attributes:
        what: the ``ledger``, which shows what it cannot prove or contradicts itself; a ``record`` that nobody may
            make, and that changes nothing; or the ``registry``, which has a device otherwise than the ledger.
        place: of the record on the ledger; empty where the message names it.
        subject: whose identity; empty where it is about no one.
        message: a sentence.
    """

    what: What
    place: str
    subject: str
    message: str


@dataclass
class Checked:
    """What was looked at so far, and what was found.

    Attributes:
        records: that were read.
        cursor: where the ledger ended; keep it, and the next check shows that it only grew since.
        known: what the records come to, by name.
        faults: the first hundred.
    """

    records: int = 0
    cursor: str | None = None
    known: dict[str, Identity] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, what: What, place: str, subject: str, message: str) -> None:
        """Note a fault."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(what, place, subject, message))


async def check(
    ledger: Ledger,
    pinned: Mapping[str, PublicKey],
    federation: str,
    tell: Callable[[Checked], None],
    *,
    begin: str | None = None,
    each: Callable[[Anchored], None] | None = None,
) -> Checked:
    """Read a ledger to its end and judge every record.

    Args:
        ledger: it.
        pinned: keys of the organisations that are known beforehand, by their names.
        federation: whose records they are.
        tell: told how far it is.
        begin: cursor to begin with; none for the first record and nothing that was seen before.
        each: told of every record.

    Raises:
        LedgerUnavailable: the ledger does not answer, or is not believed yet.
    """
    found = Checked(cursor=begin, known=founders(pinned))
    while True:
        try:
            some = await ledger.follow(found.cursor)
        except LedgerLied as error:
            found.fault("ledger", "", "", str(error))
            return found
        if some.forget_from is not None:
            found.fault("ledger", some.forget_from, "", f"it took back what it had shown from {some.forget_from} on")
            return found
        for one in fold(some.anchored, federation, found.known):
            found.records += 1
            if each is not None:
                each(one.anchored)
            if one.refusal:
                name = "" if one.record is None else f"record {one.record.statement.sequence} ({one.record.hash}): "
                found.fault("record", one.anchored.place, one.subject, f"{name}{one.why} ({one.refusal})")
        found.cursor = some.cursor
        tell(found)
        if not some.anchored:
            return found
