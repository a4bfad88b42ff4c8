"""What records make of an identity, in the order in which a ledger has them: pure, and the same for whoever follows.

Founders are the organisations that everybody pins beforehand; they are issuers from the start. Every other issuer was
registered by one that was an issuer then. An issuer vouches for its own devices, and nobody else rotates a device's key
than the device itself. A record that may not be made changes nothing, and whoever follows tells of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.names import device_id
from controlplane.identifiers.records import Kind, Record, Statement
from controlplane.jose.keys import thumbprint

RefusalCause = Literal[
    "wrong_federation",
    "wrong_name",
    "already_registered",
    "unknown_subject",
    "is_revoked",
    "is_quarantined",
    "out_of_sequence",
    "other_previous",
    "other_issuer",
    "unknown_issuer",
    "not_signed_by_author",
    "key_known",
    "wrong_time",
]
"""Why a record changes nothing."""

PINNED = "0" * 64
"""What a founder's first record names as the record before it."""


class RecordRefused(Exception):  # noqa: N818 - named for what happened
    """A record is well-formed, and nobody may make it there."""

    def __init__(self, cause: RefusalCause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity as records have it.

    Attributes:
        kind: of it.
        subject: its name.
        issuer: that vouches for it; its own name for a founder.
        key: that it has, or had when it was revoked.
        is_revoked: for good.
        sequence: of the last record; 0 for a founder before its first.
        head: hash of the last record; none for a founder before its first.
        is_founder: pinned beforehand.
    """

    kind: Kind
    subject: str
    issuer: str
    key: PublicKey
    is_revoked: bool = False
    sequence: int = 0
    head: str | None = None
    is_founder: bool = False


def founders(keys: Mapping[str, PublicKey]) -> dict[str, Identity]:
    """Return the organisations that everybody pins beforehand, by their DIDs."""
    return {name: Identity("issuer", name, name, key, is_founder=True) for name, key in keys.items()}


def judge(record: Record, federation: str, found: Identity | None, issuer: Identity | None) -> Identity:
    """Return what a record makes of its subject.

    Args:
        record: that a ledger has next.
        federation: that is followed.
        found: the subject up to now; none when nobody registered it.
        issuer: the identity of the issuer that the record names, up to now.

    Raises:
        RecordRefused: it may not be made there; nothing changes.
    """
    said = record.statement
    if said.federation != federation:
        raise RecordRefused("wrong_federation", f"it counts in {said.federation}, and this is {federation}")
    author = _newcomer(said, found, issuer) if said.act == "registered" else _known(said, found, issuer)
    if not record.is_by(author):
        raise RecordRefused(
            "not_signed_by_author", f"{said.subject} was {said.act} by somebody who may not, or without consent"
        )
    if found is None:
        assert said.key is not None  # noqa: S101 - a registration names a key
        return Identity(said.kind, said.subject, said.issuer, said.key, head=record.hash)
    return replace(
        found, key=said.key or found.key, is_revoked=said.key is None, sequence=said.sequence, head=record.hash
    )


def _newcomer(said: Statement, found: Identity | None, issuer: Identity | None) -> PublicKey:
    if found is not None:
        raise RecordRefused("already_registered", f"{said.subject} is registered already")
    if said.kind == "device" and said.key is not None and said.subject != device_id(thumbprint(said.key)):
        raise RecordRefused("wrong_name", f"{said.subject} is not the name that follows from its first key")
    return _vouching(said, issuer).key


def _known(said: Statement, found: Identity | None, issuer: Identity | None) -> PublicKey:
    """Return the key of whoever may say that of somebody who is known."""
    if found is None or found.kind != said.kind:
        raise RecordRefused("unknown_subject", f"no {said.kind} {said.subject} is registered")
    if found.is_revoked:
        raise RecordRefused("is_revoked", f"{said.subject} is revoked, which is final")
    if said.sequence != found.sequence + 1:
        raise RecordRefused(
            "out_of_sequence", f"record {said.sequence} of {said.subject} does not follow {found.sequence}"
        )
    if said.previous != (found.head or PINNED):
        raise RecordRefused("other_previous", f"record {said.sequence} of {said.subject} follows another history")
    if said.act == "rotated":
        if said.issuer != found.issuer:
            raise RecordRefused("other_issuer", f"{said.subject} is vouched for by {found.issuer}")
        if said.key == found.key:
            raise RecordRefused("key_known", f"{said.subject} has that key already")
        return found.key
    vouching = _vouching(said, issuer)
    if said.issuer != found.issuer and not vouching.is_founder:
        raise RecordRefused(
            "other_issuer", f"{said.subject} may be revoked by {found.issuer} or a founder, not by {said.issuer}"
        )
    return vouching.key


def _vouching(said: Statement, issuer: Identity | None) -> Identity:
    if issuer is None or issuer.kind != "issuer" or issuer.subject != said.issuer or issuer.is_revoked:
        raise RecordRefused("unknown_issuer", f"{said.issuer} is no issuer here")
    return issuer
