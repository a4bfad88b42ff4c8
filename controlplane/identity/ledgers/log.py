"""The transparency log as a ledger, as whoever reads it verifies it; its keeper's side is in `keeping`.

Each record is an entry of the log, committed to by the head that the log's key signs and witnesses sign too. The
entries are numbered among themselves, so none can be left out before one that is shown; and whoever has read up to a
head will not be shown anything before it later. What a keeper can still do is to stop showing anything at all.
"""

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import Field, ValidationError

from controlplane.contracts.base import StrictModel
from controlplane.identifiers.records import SignedRecord
from controlplane.identifiers.shown import MOST_SHOWN, ShownRecord, ShownRecords, encode_record
from controlplane.identity.ledgers.interface import (
    MOST_AT_ONCE,
    Anchored,
    Followed,
    LedgerLied,
    LedgerUnavailable,
    RecordRejected,
)
from controlplane.transparency.checkpoints import Checkpoint, Quorum, verify_checkpoint
from controlplane.transparency.entries import Entry, commit, identity_name
from controlplane.transparency.merkle import (
    ProofFailed,
    verify_inclusion,
)
from controlplane.transparency.notes import NoteInvalid
from controlplane.transparency.proofs import ConsistencyProof, from_hex, verify_growth

_MOST_CURSOR = 512
_Whole = Annotated[int, Field(ge=0, lt=2**53)]


class Cursor(StrictModel):
    """How far a reader has come, and what it was shown last.

    Attributes:
        size: entries of the head that it saw last.
        root: of that head, hexadecimal.
        records: identity records that it has read.
        through: entries of which it knows every identity record.
    """

    size: _Whole
    root: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    records: _Whole
    through: _Whole

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """Return the cursor of its text; none begins with the first record.

        Raises:
            ValueError: it is none of this ledger's.
        """
        if text is None:
            return cls(size=0, root="", records=0, through=0)
        try:
            found = cls.model_validate_json(text[: _MOST_CURSOR + 1])
        except (ValidationError, ValueError):
            found = None
        if found is None or (found.size == 0) != (found.root == "") or found.through > found.size:
            raise ValueError("the cursor is none of a log's: begin without one")
        return found


class Source(Protocol):
    """Shows a log; what it shows is believed only where it is proven."""

    async def records(self, start: int, limit: int) -> ShownRecords:
        """Return up to ``limit`` records from a number on, under the latest head.

        Raises:
            LedgerUnavailable: it does not answer.
            LedgerLied: what it answers is none.
        """
        ...

    async def growth(self, earlier: int, later: int) -> ConsistencyProof:
        """Return the proof that the log only grew.

        Raises:
            LedgerUnavailable: it does not answer.
            LedgerLied: what it answers is none.
        """
        ...


class LogReader:
    """Follows a log from outside, and believes nothing that is not proven.

    Args:
        source: shows the log.
        quorum: whose signatures make a head believable; known beforehand.
    """

    def __init__(self, source: Source, quorum: Quorum) -> None:
        self._source, self._quorum = source, quorum

    @property
    def name(self) -> str:
        """``log``."""
        return "log"

    async def publish(self, records: Sequence[SignedRecord]) -> None:
        """Refuse: a log is written to by its keeper alone.

        Raises:
            RecordRejected: always, where there is anything to write.
        """
        if records:
            raise RecordRejected("a log that is read from outside is written to by its keeper alone")

    async def follow(self, cursor: str | None, limit: int = MOST_AT_ONCE) -> Followed:
        """Return records that follow a cursor, each proven to be in a head that only adds to the one before.

        Raises:
            LedgerUnavailable: the log is not shown, or its head is not signed by enough witnesses yet.
            LedgerLied: what is shown is not proven, contradicts what was shown before, or leaves a record out.
            ValueError: the cursor is none of a log's.
        """
        before = Cursor.parse(cursor)
        wanted = max(1, min(limit, MOST_SHOWN))
        shown = await self._source.records(before.records, wanted)
        if shown.checkpoint is None:
            if before.size or shown.records:
                raise LedgerLied(f"it has no head, and showed one of {before.size} entries before")
            return Followed((), before.model_dump_json())
        head = self._head(shown.checkpoint)
        await self._require_grown(before, head)
        if len(shown.records) > wanted:
            raise LedgerLied(f"it shows {len(shown.records)} records, where {wanted} were asked for")
        through = before.through
        for number, one in enumerate(shown.records, start=before.records):
            through = _require_next(one, number, through, head)
        known = before.records + len(shown.records)
        if known > shown.total or (len(shown.records) < wanted and known < shown.total):
            raise LedgerLied(f"it has {shown.total} records, and shows {known}: some are withheld")
        if known == shown.total:
            through = head.size
        after = Cursor(size=head.size, root=head.root.hex(), records=known, through=through)
        return Followed(tuple(_anchored(one) for one in shown.records), after.model_dump_json())

    def _head(self, note: str) -> Checkpoint:
        try:
            seen = verify_checkpoint(note, Quorum(self._quorum.log))
        except NoteInvalid as error:
            raise LedgerLied(f"its head is none: {error}") from None
        try:
            verify_checkpoint(note, self._quorum)
        except NoteInvalid as error:
            raise LedgerUnavailable(
                f"its head of {seen.checkpoint.size} entries is not believed yet: {error}"
            ) from None
        return seen.checkpoint

    async def _require_grown(self, before: Cursor, head: Checkpoint) -> None:
        if head.size < before.size:
            raise LedgerLied(f"it has {head.size} entries, and showed {before.size} before: its history is withheld")
        if not before.size:
            return
        earlier = Checkpoint(head.origin, before.size, bytes.fromhex(before.root))
        if earlier == head:
            return
        proof = (
            ConsistencyProof(earlier=before.size, later=head.size, hashes=[])
            if head.size == before.size
            else await self._source.growth(before.size, head.size)
        )
        try:
            verify_growth(earlier, head, proof)
        except ProofFailed as error:
            raise LedgerLied(f"from {before.size} to {head.size} entries: {error}") from None


def _require_next(one: ShownRecord, number: int, through: int, head: Checkpoint) -> int:
    """Return through which place every record is known, after one that is shown.

    Raises:
        LedgerLied: it is not the next one, or not what the log holds.
    """
    where = f"record {one.number} at entry {one.place}"
    if one.number != number:
        raise LedgerLied(f"{where} is shown where record {number} is next: one is left out, or their order was changed")
    if one.place < through:
        raise LedgerLied(f"{where} was withheld: all up to entry {through} had been shown without it")
    entry = Entry(
        commitment=commit(bytes.fromhex(one.salt), encode_record(one.record)).hex(),
        id=identity_name(number),
        kind="identity",
        time_ms=one.time_ms,
    )
    try:
        verify_inclusion(entry.hashed(), one.place, head.size, from_hex(one.hashes), head.root)
    except ProofFailed as error:
        raise LedgerLied(f"{where} is not what the log holds there: {error}") from None
    return one.place + 1


def _anchored(one: ShownRecord) -> Anchored:
    return Anchored(place=f"entry {one.place}", record=one.record)
