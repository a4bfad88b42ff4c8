"""Records of identities as a control plane shows them to everybody, each with what proves that its log holds it."""

from typing import Annotated

from pydantic import Field

from controlplane.contracts.base import Identifier, StrictModel
from controlplane.identifiers.records import Act, Hash, Kind, SignedRecord

MOST_SHOWN = 64
"""Records that are shown at once, each with its own proof."""

MOST_HISTORY = 100
"""Records of one identity that are shown at once."""

_Place = Annotated[int, Field(ge=0, lt=2**53)]


class ShownRecord(StrictModel):
    """A record, and the proof that it is in the log.

    Attributes:
        number: among the log's identity records, from 0; none is left out.
        place: of its entry in the log.
        time_ms: of the entry, Unix milliseconds.
        salt: with which the entry commits to the record, hexadecimal.
        record: it.
        hashes: from the entry's leaf up to the root.
    """

    number: _Place
    place: _Place
    time_ms: _Place
    salt: Hash
    record: SignedRecord
    hashes: Annotated[list[Hash], Field(max_length=64)]


class ShownRecords(StrictModel):
    """Records in the log's order.

    Attributes:
        records: from the number that was asked for on.
        total: how many the log has under the checkpoint.
        checkpoint: signed head of the log, a note; none while nothing was logged.
    """

    records: Annotated[list[ShownRecord], Field(max_length=MOST_SHOWN)]
    total: _Place
    checkpoint: Annotated[str, Field(max_length=65_536)] | None = None


class HistoryEntry(StrictModel):
    """One record of an identity.

    Attributes:
        act: what became of it.
        sequence: place in the identity's history.
        hash: of the record.
        time_ms: when it was said, Unix milliseconds.
        place: of its entry in the control plane's own log; none on another ledger.
        record: it.
    """

    act: Act
    sequence: int
    hash: Hash
    time_ms: int
    place: _Place | None = None
    record: SignedRecord


class IdentityStanding(StrictModel):
    """How an identity stands: what a rotation of its key must name.

    Attributes:
        name: of the device.
        did: of the key that it has now.
        kind: a device, or an organisation.
        federation: in which its records count.
        issuer: DID of the organisation that vouches for it.
        sequence: of its last record.
        head: hash of its last record.
        is_revoked: for good.
        history: its records, the earliest first; of many the latest.
    """

    name: Identifier
    did: Annotated[str, Field(max_length=256)]
    kind: Kind
    federation: Identifier
    issuer: Identifier
    sequence: int
    head: Hash
    is_revoked: bool
    history: Annotated[list[HistoryEntry], Field(max_length=MOST_HISTORY)]


def encode_record(signed: SignedRecord) -> bytes:
    """Return a record in the one form in which an entry of a log commits to it."""
    return signed.model_dump_json(exclude_none=True).encode()
