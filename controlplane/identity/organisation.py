"""The organisation that vouches for the devices of this control plane: its name, its key, and what it says with it."""

from collections.abc import Callable

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.histories import PINNED, Identity
from controlplane.identifiers.records import Kind, SignedRecord, Statement, sign_record
from controlplane.jose.keys import DeviceKey


class Organisation:
    """Says what becomes of its devices.

    Args:
        did: its name; others know it beforehand, or a founder registered it.
        key: with which it signs.
        federation: in which its records count.
        ledger: kind of the ledger that they are for.
        clock: Unix seconds.
    """

    def __init__(self, did: str, key: DeviceKey, federation: str, ledger: str, clock: Callable[[], float]) -> None:
        self.did, self._key = did, key
        self.federation, self.ledger = federation, ledger
        self._clock = clock

    @property
    def public(self) -> PublicKey:
        """Its public key."""
        return self._key.public

    def registers(self, device: str, key: PublicKey) -> SignedRecord:
        """Return the record that a device has a key."""
        return self._begins("device", device, key)

    def revokes(self, known: Identity) -> SignedRecord:
        """Return the record that an identity is no more; only its issuer, and a founder, may say so."""
        said = Statement(
            federation=self.federation,
            kind=known.kind,
            subject=known.subject,
            act="revoked",
            sequence=known.sequence + 1,
            previous=known.head or PINNED,
            issuer=self.did,
            time_ms=self._now_ms(),
        )
        return sign_record(said, self._key)

    def accepts(self, issuer: str, key: PublicKey) -> SignedRecord:
        """Return the record that another organisation may vouch for devices of its own."""
        return self._begins("issuer", issuer, key)

    def _begins(self, kind: Kind, subject: str, key: PublicKey) -> SignedRecord:
        said = Statement(
            federation=self.federation,
            kind=kind,
            subject=subject,
            act="registered",
            sequence=0,
            issuer=self.did,
            key=key,
            time_ms=self._now_ms(),
        )
        return sign_record(said, self._key)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
