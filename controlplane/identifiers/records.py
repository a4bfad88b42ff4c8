"""What a ledger carries of an identity: statements that are signed by whoever may make them (RFC 7515).

A record proves itself, whatever ledger it lies on: it is signed by the party that may say so, names the record before
it, and belongs to one federation. The ledger adds the order in which records were made, and that nobody can take one
back. What a record does not carry is what a device does: no role, no segment, no model.
"""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from controlplane.contracts.base import Identifier, StrictModel
from controlplane.contracts.identity import PublicKey
from controlplane.jose.jws import Compact, encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import DeviceKey, load_public, thumbprint

Act = Literal["registered", "rotated", "revoked"]
"""What became of an identity: it is known with a key, has another key, or is no more, which is final."""

Kind = Literal["device", "issuer"]
"""A device or service, or an organisation that vouches for them."""

TYPE = "ztfm-identity+jwt"
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
MOST_CHARS = 4096
_MOST_SEQUENCE = 1_000_000
_END_OF_TIME_MS = 253_402_300_800_000
"""The year 10000, which no calendar here has a day of."""

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Signed = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARS, pattern=r"^[A-Za-z0-9_.-]+$")]


class RecordInvalid(Exception):  # noqa: N818 - named for what happened
    """A record is none, or a signature does not hold. The message says how."""


class Statement(StrictModel):
    """What a record says.

    Attributes:
        federation: in which it counts, so that it means nothing elsewhere.
        kind: of the subject.
        subject: whose identity; a device's registered name, or an organisation's DID.
        act: what becomes of it.
        sequence: place in the subject's history, from 0; the last there is, is left for a revocation.
        previous: hash of the record before; none at the beginning.
        issuer: DID of the organisation that vouches for the subject.
        key: that the subject has from now on; none when it is revoked.
        time_ms: when it was said, Unix milliseconds up to the year 9999; the order is the ledger's, not the clock's.
    """

    federation: Identifier
    kind: Kind
    subject: Identifier
    act: Act
    sequence: Annotated[int, Field(ge=0, le=_MOST_SEQUENCE)]
    previous: Hash | None = None
    issuer: Identifier
    key: PublicKey | None = None
    time_ms: Annotated[int, Field(ge=0, lt=_END_OF_TIME_MS)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.act == "registered") != (self.sequence == 0) or (self.previous is None) != (self.sequence == 0):
            raise ValueError("a history begins with a registration, and every later record names the one before")
        if (self.key is None) != (self.act == "revoked"):
            raise ValueError("a key is named unless the identity is revoked")
        if self.act == "rotated" and self.sequence == _MOST_SEQUENCE:
            raise ValueError("the last place in a history is for a revocation, so that nobody fills it up first")
        return self


class SignedRecord(StrictModel):
    """A statement with its signatures, as it travels and lies on a ledger.

    Attributes:
        statement: compact JWS of the author.
        consent: compact JWS of the same statement by the key that it names: a rotation needs it, so that nobody takes
            over a key that they do not hold.
    """

    statement: _Signed
    consent: _Signed | None = None

    def read(self) -> "Record":
        """Return what it says. Who signed it is not verified yet.

        Raises:
            RecordInvalid: it is no record.
        """
        return Record(self)


class Record:
    """A record that was read.

    Attributes:
        signed: as it travels.
        statement: what it says.
        hash: of the statement's bytes, SHA-256, hexadecimal: its name. Signatures are not in it, since
            whoever signs may do so twice.
    """

    __slots__ = ("_consent", "_parsed", "hash", "signed", "statement")

    def __init__(self, signed: SignedRecord) -> None:
        self.signed = signed
        self._parsed = _parsed(signed.statement)
        self._consent = None if signed.consent is None else _parsed(signed.consent)
        if self._consent is not None and self._consent.payload != self._parsed.payload:
            raise RecordInvalid("the two signatures are over different statements")
        try:
            parse_object(self._parsed.payload)  # One reading only: no name twice.
            self.statement = Statement.model_validate_json(self._parsed.payload)
        except ValidationError as error:
            raise RecordInvalid(f"it states nothing about an identity: see {_wrong(error)}") from None
        except (ValueError, RecursionError):
            raise RecordInvalid(
                "it states nothing about an identity: it is no JSON object with each name once"
            ) from None
        if self.statement.model_dump_json(exclude_none=True).encode() != self._parsed.payload:
            raise RecordInvalid("it is not written in the one form that is hashed")
        self.hash = hashlib.sha256(self._parsed.payload).hexdigest()

    def is_by(self, author: PublicKey) -> bool:
        """Whether the statement is signed by a key, and consented to by the key that it names where that is needed."""
        if not _holds(self._parsed, author):
            return False
        named = self.statement.key
        if self._consent is None:
            return self.statement.act != "rotated"
        return named is not None and _holds(self._consent, named)


def sign_record(statement: Statement, author: DeviceKey, successor: DeviceKey | None = None) -> SignedRecord:
    """Return a record.

    Args:
        statement: what it says.
        author: key of whoever may say so: the issuer's, or at a rotation the subject's own up to now.
        successor: the key that the statement names, where it consents; a rotation needs it.

    Raises:
        ValueError: the successor is not the key that is named.
    """
    if successor is not None and successor.public != statement.key:
        raise ValueError("the key that consents is the one that the statement names")
    payload = statement.model_dump_json(exclude_none=True).encode()
    return SignedRecord(
        statement=_sign(author, payload), consent=None if successor is None else _sign(successor, payload)
    )


def _wrong(error: ValidationError) -> str:
    """Return which parts of a statement do not fit; nothing of what it says, which may be anything and long."""
    named = {str(one["loc"][0]) for one in error.errors(include_url=False, include_input=False) if one["loc"]}
    known = [name for name in Statement.model_fields if name in named]
    others = ["names that it does not have"] if named - set(known) else []
    return ", ".join([*known, *others]) or "how act, sequence, previous and key go together"


def _sign(key: DeviceKey, payload: bytes) -> str:
    header = f'{{"alg":"ES256","kid":"{key.thumbprint}","typ":"{TYPE}"}}'
    return key.sign(encode_segment(header.encode()), payload)


def _parsed(token: str) -> Compact:
    found = parse(token, MOST_CHARS)
    if found is None or found.header.get("alg") != "ES256" or found.header.get("typ") != TYPE:
        raise RecordInvalid(f"it is no compact JWS of type {TYPE} with ES256")
    if found.header.keys() != _HEADER_NAMES:
        # What else is there means nothing, and whoever has it written on a chain pays for it.
        raise RecordInvalid("its header has other names than alg, kid and typ")
    return found


def _holds(token: Compact, key: PublicKey) -> bool:
    if token.header.get("kid") != thumbprint(key):
        return False
    try:
        return is_signed_by(load_public(key), token)
    except ValueError:
        return False
