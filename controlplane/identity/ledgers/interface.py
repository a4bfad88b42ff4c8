"""What a ledger is to us: a board on which records appear in one order that nobody changes afterwards.

A ledger is never asked while a request waits. Records are published in the background, and whoever follows reads what
is final from a cursor on. What a record says is proven by its own signatures (`identifiers.histories`); a ledger can
withhold, and that is what each kind guards against in its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controlplane.identifiers.records import SignedRecord

MOST_AT_ONCE = 256
"""Records that are published or read at once."""


class LedgerUnavailable(Exception):  # noqa: N818 - named for what happened
    """The ledger does not answer, or not in time. Trying again is right."""


class LedgerLied(Exception):  # noqa: N818 - named for what happened
    """The ledger contradicts what it proved before, or shows something that it cannot prove.

    The message names the record or the place. Nothing that it showed is taken over.
    """


class RecordRejected(Exception):  # noqa: N818 - named for what happened
    """The ledger does not take a record: another of the same subject and sequence is there. The message says which."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A record with its place on the ledger.

    Attributes:
        place: names it on the ledger, for people: an entry's number, or block, transaction and event.
        record: it. It may be one that nobody may make; whoever follows judges.
    """

    place: str
    record: SignedRecord


@dataclass(frozen=True, slots=True)
class Followed:
    """What a ledger has from a cursor on.

    Attributes:
        anchored: final records, in the ledger's order; empty when there are no more.
        cursor: where to go on; opaque, and safe to keep.
        forget_from: place from which on what was read before no longer counts, since the ledger was reorganised deeper
            than it is held to be final; none when all of it counts. What replaces it is in later records.
    """

    anchored: tuple[Anchored, ...]
    cursor: str
    forget_from: str | None = None


class Ledger(Protocol):
    """A kind of ledger. Each passes the conformance suite in ``tests/controlplane/identity/ledgers``."""

    @property
    def name(self) -> str:
        """The kind: ``log``, ``evm``."""
        ...

    async def publish(self, records: Sequence[SignedRecord]) -> None:
        """Have the ledger take records, at most `MOST_AT_ONCE`; one that it has already is taken without effect.

        Afterwards they will become final, or another record of the same subject and sequence did first.

        Raises:
            LedgerUnavailable: it does not answer. Some may have been taken; publishing again is right.
            RecordRejected: one cannot be taken; those before it were.
        """
        ...

    async def follow(self, cursor: str | None, limit: int = MOST_AT_ONCE) -> Followed:
        """Return up to ``limit`` final records after a cursor; none begins with the first.

        Raises:
            LedgerUnavailable: it does not answer.
            LedgerLied: what it shows contradicts what it showed before ``cursor``, or is not proven.
            ValueError: the cursor is none of this ledger's.
        """
        ...
