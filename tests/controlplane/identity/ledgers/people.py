"""Who writes on ledgers in these tests: organisations with real keys, and the devices that they vouch for."""

from collections.abc import Iterable

from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.identifiers.histories import Identity, RecordRefused, founders, judge
from controlplane.identifiers.names import device_id
from controlplane.identifiers.records import SignedRecord, Statement, sign_record
from controlplane.identity.ledgers.interface import MOST_AT_ONCE, Anchored, Ledger
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.conformance import FEDERATION


class Organisation:
    """Vouches for devices."""

    def __init__(self, did: str) -> None:
        self.did, self.key = did, DeviceKey.generate()

    def registers(self, key: DeviceKey, time_ms: int = 1) -> SignedRecord:
        said = Statement(
            federation=FEDERATION,
            kind="device",
            subject=device_id(key.thumbprint),
            act="registered",
            sequence=0,
            issuer=self.did,
            key=key.public,
            time_ms=time_ms,
        )
        return sign_record(said, self.key)

    def revokes(self, known: Identity, time_ms: int = 3) -> SignedRecord:
        return sign_record(following(known, "revoked", None, self.did, time_ms), self.key)


class Uncounted:
    """Is told what counts, and looks away."""

    def identity_record(self, act: str) -> None: ...


def enrolled(key: DeviceKey) -> Device:
    """A device that holds a key."""
    return Device(
        id=device_id(key.thumbprint),
        key=key.public,
        key_thumbprint=key.thumbprint,
        roles=["trainer"],
        segment="homes",
        status="active",
        attestation=Attestation(),
        trust=Trust(score=0.6, observations=0),
        enrolled_at=1.0,
    )


def rotates(known: Identity, old: DeviceKey, new: DeviceKey, time_ms: int = 2) -> SignedRecord:
    """The device itself does, and nobody else can."""
    return sign_record(following(known, "rotated", new, known.issuer, time_ms), old, new)


def following(known: Identity, act: str, key: DeviceKey | None, issuer: str, time_ms: int) -> Statement:
    return Statement.model_validate(
        {
            "federation": FEDERATION,
            "kind": known.kind,
            "subject": known.subject,
            "act": act,
            "sequence": known.sequence + 1,
            "previous": known.head,
            "issuer": issuer,
            "key": None if key is None else key.public,
            "time_ms": time_ms,
        }
    )


class Board:
    """What records make of identities."""

    def __init__(self, *organisations: Organisation) -> None:
        self.known = founders({one.did: one.key.public for one in organisations})
        self.refused: list[tuple[str, str]] = []

    def take(self, records: Iterable[SignedRecord]) -> None:
        for signed in records:
            record = signed.read()
            said = record.statement
            try:
                found = judge(record, FEDERATION, self.known.get(said.subject), self.known.get(said.issuer))
            except RecordRefused as refusal:
                self.refused.append((record.hash, refusal.cause))
            else:
                self.known[found.subject] = found

    def of(self, key: DeviceKey) -> Identity:
        """The identity of the device that had this key first."""
        return self.known[device_id(key.thumbprint)]


async def follow_all(
    ledger: Ledger, cursor: str | None = None, limit: int = MOST_AT_ONCE
) -> tuple[list[Anchored], str]:
    """Return all that is final after a cursor, and where to go on."""
    found: list[Anchored] = []
    for _ in range(1000):
        some = await ledger.follow(cursor, limit)
        assert some.forget_from is None
        assert len(some.anchored) <= limit
        found, cursor = [*found, *some.anchored], some.cursor
        if not some.anchored:
            return found, cursor
    raise AssertionError("the ledger does not end")


def records(anchored: Iterable[Anchored]) -> list[SignedRecord]:
    return [one.record for one in anchored]
