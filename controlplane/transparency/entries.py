"""Entries of the log: what is committed to, in the one form that is hashed.

An entry names what happened and when, and commits to the whole record by a salted hash. So a record can be erased, with
its salt, and the tree still verifies, while nobody can tell from the hash what the record said.
"""

import hashlib
import secrets
from typing import Final, Literal, get_args

from pydantic import Field

from controlplane.contracts.base import Identifier, StrictModel, is_identifier
from controlplane.transparency.merkle import leaf_hash

EntryKind = Literal["decision", "event", "release", "exception", "provenance", "identity", "model"]
"""What an entry stands for.

A ``decision`` is on whatever was asked for, administrative acts and changes of trust with it; a security ``event`` is
a revocation, a withdrawn key or a changed status; a ``release`` is of policies; an ``exception`` was granted or
revoked; a ``provenance`` states who shaped a model in a round; an ``identity`` is a signed record of what became of a
device's or an organisation's key; a ``model`` is a version that somebody signed, as it was registered or withdrawn.
"""

KINDS: Final[tuple[EntryKind, ...]] = get_args(EntryKind)

SALT_BYTES = 32


class Entry(StrictModel):
    """One entry of the log.

    Attributes:
        commitment: SHA-256 of the salt and the record, hexadecimal.
        id: of what it stands for; a decision's, say.
        kind: what that is.
        time_ms: when it happened, Unix milliseconds.
    """

    commitment: str = Field(pattern=r"^[0-9a-f]{64}$")
    id: Identifier
    kind: EntryKind
    time_ms: int = Field(ge=0, lt=2**53)

    def encoded(self) -> bytes:
        """Return its canonical JSON (RFC 8785): what the tree holds the hash of."""
        return encode(self.kind, self.id, self.time_ms, self.commitment)

    def hashed(self) -> bytes:
        """Return the hash of its leaf."""
        return leaf_hash(self.encoded())


def encode(kind: str, name: str, time_ms: int, commitment: str) -> bytes:
    """Return the canonical JSON of an entry whose kind, time and commitment are known to be well-formed.

    Raises:
        ValueError: the name is none; nothing that an identifier may hold needs to be escaped in JSON.
    """
    if not is_identifier(name):
        raise ValueError(f"{name!r} names nothing that an entry could stand for")
    return f'{{"commitment":"{commitment}","id":"{name}","kind":"{kind}","time_ms":{time_ms}}}'.encode()


def identity_name(number: int) -> str:
    """Return what an entry is called that stands for an identity record, by its number among these.

    Two entries of one name would show that one was hidden.
    """
    return f"identity-{number}"


def commit(salt: bytes, record: bytes) -> bytes:
    """Return what stands for a record in the tree, 32 bytes."""
    return hashlib.sha256(salt + record).digest()


def new_salt() -> bytes:
    """Return a salt for one record."""
    return secrets.token_bytes(SALT_BYTES)
