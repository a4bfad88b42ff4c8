"""What is kept of a ledger that is followed, and what it is compared with, as it passes between those who do."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from controlplane.contracts.identity import DeviceStatus, PublicKey
from controlplane.identifiers.histories import Identity
from controlplane.identifiers.records import SignedRecord


@dataclass(frozen=True)
class Read:
    """How far a ledger was read.

    Attributes:
        cursor: where to go on; none before the first record.
        records: that were read.
        read_at: when it was last read to its end, or asked for the first time, Unix seconds; none when never.
    """

    cursor: str | None = None
    records: int = 0
    read_at: float | None = None


@dataclass(frozen=True)
class FollowedRecord:
    """A record of a ledger, as it was judged.

    Attributes:
        place: on the ledger.
        subject: whose identity; empty where it is no record.
        hash: of the record; empty where it is none.
        refusal: why it changes nothing; empty when it counts.
        record: it.
    """

    place: str
    subject: str
    hash: str
    refusal: str
    record: SignedRecord


@dataclass(frozen=True)
class Enrolled:
    """A device as the registry has it.

    Attributes:
        id: its name.
        key: that it has.
        status: that it has.
    """

    id: str
    key: PublicKey
    status: DeviceStatus


Anew = Callable[[Sequence[FollowedRecord], dict[str, Identity]], tuple[Sequence[FollowedRecord], Collection[Identity]]]
"""Judges records that follow one another, by what is known from those before, which it brings up to them; returns them
as they are judged now, and the identities that changed."""
