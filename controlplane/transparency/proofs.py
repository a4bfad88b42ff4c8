"""What a log hands out, as it travels, and how whoever receives it checks it without trusting the sender."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from controlplane.contracts.base import StrictModel
from controlplane.transparency.checkpoints import Checkpoint, Quorum, Seen, verify_checkpoint
from controlplane.transparency.entries import SALT_BYTES, Entry, commit
from controlplane.transparency.merkle import (
    MOST_LEVELS,
    ProofFailed,
    verify_consistency,
    verify_inclusion,
)
from controlplane.transparency.notes import MOST_BYTES

MOST_LEAVES = 4096
"""Leaf hashes that are handed out at once."""

MOST_RECORD = 1_048_576
"""Characters of a record."""

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 hash, hexadecimal."""

Place = Annotated[int, Field(ge=0, lt=2**53)]
"""Where an entry is in the log, counted from 0."""


class RecordProof(StrictModel):
    """That a record is in the log, for whoever has the log's key and those of its witnesses.

    Attributes:
        entry: what stands for the record.
        place: of the entry.
        salt: with which the entry commits to the record, hexadecimal.
        record: exactly what was recorded.
        hashes: from the entry's leaf up to the root.
        checkpoint: signed head of the log, a note.
    """

    entry: Entry
    place: Place
    salt: Hash
    record: str = Field(max_length=MOST_RECORD)
    hashes: list[Hash] = Field(max_length=MOST_LEVELS)
    checkpoint: str = Field(max_length=MOST_BYTES)


class ConsistencyProof(StrictModel):
    """That the log only grew from one size to another.

    Attributes:
        earlier: entries it had.
        later: entries it has.
        hashes: from where the earlier tree ends, upwards.
    """

    earlier: Place
    later: Place
    hashes: list[Hash] = Field(max_length=2 * MOST_LEVELS)


class Leaves(StrictModel):
    """Hashes of entries, which say nothing of them.

    Attributes:
        start: place of the first.
        hashes: in order.
    """

    start: Place
    hashes: list[Hash] = Field(max_length=MOST_LEAVES)


class LogKeys(StrictModel):
    """Whose signatures make a head of a log believable.

    Attributes:
        log: verifier key of the log, ``name+id+key``; the name is the log's origin.
        witnesses: verifier keys of those who watch it.
        needed: how many of them must have signed.
    """

    log: str = Field(max_length=256)
    witnesses: list[Annotated[str, StringConstraints(max_length=256)]] = Field(max_length=32)
    needed: int = Field(ge=0, le=32)


class LoggedEntry(StrictModel):
    """An entry and where it is.

    Attributes:
        place: in the log.
        entry: it.
        is_erased: what it commits to is not kept any more.
    """

    place: Place
    entry: Entry
    is_erased: bool


class LoggedEntries(StrictModel):
    """Entries in order.

    Attributes:
        entries: from the place that was asked for on.
        size: of the log.
    """

    entries: list[LoggedEntry] = Field(max_length=MOST_LEAVES)
    size: Place


@dataclass(frozen=True)
class Proven:
    """What a proof shows.

    Attributes:
        entry: stands for the record.
        place: of the entry.
        seen: the head of the log in which it is.
    """

    entry: Entry
    place: int
    seen: Seen


def verify_record(proof: RecordProof, quorum: Quorum) -> Proven:
    """Return what a proof shows, checked with nothing but the keys.

    Raises:
        NoteInvalid: the head is not signed by those who must have.
        ProofFailed: the record is not what the entry commits to, or the entry not in the log.
    """
    seen = verify_checkpoint(proof.checkpoint, quorum)
    salt = bytes.fromhex(proof.salt)
    if len(salt) != SALT_BYTES or commit(salt, proof.record.encode()).hex() != proof.entry.commitment:
        raise ProofFailed(f"the record is not what the entry of {proof.entry.id} commits to: one of them was changed")
    hashes = from_hex(proof.hashes)
    verify_inclusion(proof.entry.hashed(), proof.place, seen.checkpoint.size, hashes, seen.checkpoint.root)
    return Proven(proof.entry, proof.place, seen)


def verify_growth(earlier: Checkpoint, later: Checkpoint, proof: ConsistencyProof) -> None:
    """Return if one head of a log only adds to another.

    Raises:
        ProofFailed: it is not shown to, or the proof is of other sizes.
    """
    if (proof.earlier, proof.later) != (earlier.size, later.size):
        raise ProofFailed(f"the proof is from {proof.earlier} to {proof.later}, not {earlier.size} to {later.size}")
    verify_consistency(earlier.size, later.size, from_hex(proof.hashes), earlier.root, later.root)


def from_hex(hashes: Sequence[str]) -> list[bytes]:
    """Return hashes that travelled as text."""
    return [bytes.fromhex(one) for one in hashes]
