"""What a record is on the chain: its bytes, and the word that says where it stands and what came before it."""

from eth_utils import keccak
from pydantic import ValidationError

from controlplane.identifiers.records import SignedRecord
from controlplane.identifiers.shown import encode_record

MOST_BYTES = 8224
"""Of a record; the contract takes no more."""

_BLOCK_BITS = 64
_BLOCK = (1 << _BLOCK_BITS) - 1


def block_of(place: int) -> int:
    """Return the number of the block that a place names."""
    return place & _BLOCK


def next_place(before: int, subject: bytes, record: bytes, block: int) -> int:
    """Return the place of a record, as the contract works it out.

    Args:
        before: place of the record before it; of the first the contract's own.
        subject: that it was written under, 32 bytes.
        record: its bytes.
        block: that it is in.
    """
    over = (before >> _BLOCK_BITS).to_bytes(32, "big") + subject + keccak(record)
    return (int.from_bytes(keccak(over), "big") & ~_BLOCK) | block


def subject_key(subject: str) -> bytes:
    """Return under what the records of a subject are found, 32 bytes."""
    return bytes(keccak(subject.encode()))


def decode_record(raw: bytes) -> SignedRecord | None:
    """Return the record of bytes from the chain, or none when they are none in the one form."""
    try:
        found = SignedRecord.model_validate_json(raw)
    except ValidationError:
        return None
    return found if encode_record(found) == raw else None
