"""The transparency log as a ledger at its keeper's: what everybody is shown of it, and how records come into it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from controlplane.identifiers.records import Record, RecordInvalid, SignedRecord
from controlplane.identifiers.shown import MOST_SHOWN, ShownRecord, ShownRecords
from controlplane.identity.ledgers.interface import MOST_AT_ONCE, LedgerLied, RecordRejected
from controlplane.identity.ledgers.log import LogReader, Source
from controlplane.transparency.checkpoints import Checkpoint, Quorum
from controlplane.transparency.merkle import Subtree, hashes_of, inclusion_pieces
from controlplane.transparency.notes import Note
from controlplane.transparency.proofs import ConsistencyProof


class Kept(Protocol):
    """A record with its entry; `storage.identity_log.LoggedRecord` is one."""

    @property
    def number(self) -> int:
        """Among the identity records."""
        ...

    @property
    def place(self) -> int:
        """Of its entry."""
        ...

    @property
    def time_ms(self) -> int:
        """Of its entry."""
        ...

    @property
    def salt(self) -> bytes:
        """With which the entry commits to it."""
        ...

    @property
    def record(self) -> SignedRecord:
        """It."""
        ...


class Records(Protocol):
    """The identity records of a log; `storage.identity_log` has them."""

    async def logged(self, start: int, limit: int, before: int) -> Sequence[Kept]:
        """Return records from a number on, whose entries are before a place."""
        ...

    async def logged_before(self, place: int) -> int:
        """Return how many there are before a place."""
        ...

    async def publish(self, records: Sequence[Record], now: float) -> Record | None:
        """Take records; return the first that cannot be."""
        ...


class Hashes(Protocol):
    """The hashes of a log; `storage.log` has them."""

    async def hashes(self, wanted: Iterable[Subtree]) -> Mapping[Subtree, bytes]:
        """Return the hashes of complete subtrees; `LookupError` where one is missing."""
        ...


class Heads(Protocol):
    """The signed heads of a log; `audit.heads` has them."""

    async def latest(self) -> tuple[Checkpoint, Note] | None:
        """Return the latest signed head, or none."""
        ...

    async def grew(self, earlier: int, later: int) -> list[bytes]:
        """Return the hashes that show that it only grew."""
        ...


class KeptLog:
    """A log at its keeper's: what everybody is shown of it.

    What the heads raise when the log is not what was signed goes through: nothing is shown then.

    Args:
        records: its identity records.
        hashes: its hashes.
        heads: its signed heads.
    """

    def __init__(self, records: Records, hashes: Hashes, heads: Heads) -> None:
        self._records, self._hashes, self._heads = records, hashes, heads

    async def records(self, start: int, limit: int) -> ShownRecords:
        """Return up to ``limit`` records from a number on, each with its proof under the latest head.

        Raises:
            LedgerLied: the log lacks hashes: it was written to by hand.
        """
        latest = await self._heads.latest()
        if latest is None:
            return ShownRecords(records=[], total=0)
        head, note = latest
        kept = await self._records.logged(start, min(limit, MOST_SHOWN), head.size)
        proofs = [inclusion_pieces(one.place, head.size) for one in kept]
        try:
            found = await self._hashes.hashes({one for proof in proofs for piece in proof for one in piece})
        except LookupError as error:
            raise LedgerLied(f"{error}: somebody wrote into the database, see `ztfm audit check`") from None
        shown = [
            ShownRecord(
                number=one.number,
                place=one.place,
                time_ms=one.time_ms,
                salt=one.salt.hex(),
                record=one.record,
                hashes=[part.hex() for part in hashes_of(proof, found)],
            )
            for one, proof in zip(kept, proofs, strict=True)
        ]
        return ShownRecords(records=shown, total=await self._records.logged_before(head.size), checkpoint=str(note))

    async def growth(self, earlier: int, later: int) -> ConsistencyProof:
        """Return the proof that the log only grew."""
        found = await self._heads.grew(earlier, later)
        return ConsistencyProof(earlier=earlier, later=later, hashes=[one.hex() for one in found])


class LogLedger(LogReader):
    """The log at its keeper's: written to here, and read as everybody reads it.

    Args:
        records: its identity records.
        source: what everybody is shown.
        quorum: whose signatures make a head believable.
        clock: Unix seconds.
    """

    def __init__(self, records: Records, source: Source, quorum: Quorum, clock: "Clock") -> None:
        super().__init__(source, quorum)
        self._records, self._clock = records, clock

    async def publish(self, records: Sequence[SignedRecord]) -> None:
        """Take records into the log; one that is there already changes nothing.

        Raises:
            RecordRejected: another of the same subject and sequence is there, or it is no record.
        """
        if len(records) > MOST_AT_ONCE:
            raise ValueError(f"{MOST_AT_ONCE} records are published at once, at most")
        try:
            read = [one.read() for one in records]
        except RecordInvalid as error:
            raise RecordRejected(str(error)) from None
        lost = await self._records.publish(read, self._clock())
        if lost is not None:
            said = lost.statement
            raise RecordRejected(f"another record {said.sequence} of {said.subject} is in the log; {lost.hash} is not")


class Clock(Protocol):
    """Tells Unix seconds."""

    def __call__(self) -> float:
        """Return them."""
        ...
