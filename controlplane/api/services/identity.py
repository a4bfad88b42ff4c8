"""Who is who: subjects, what newcomers show, and the records of identities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controlplane.contracts.events import Initiator
from controlplane.contracts.identity import Device, DeviceStatus, EnrolmentGrant, PublicKey
from controlplane.contracts.observed import Observed
from controlplane.contracts.rollback import Contribution
from controlplane.identifiers.records import Record
from controlplane.identifiers.shown import ShownRecords
from controlplane.identity.credentials.manufacturers import Manufacturers
from controlplane.identity.credentials.presented import Credentials
from controlplane.identity.resolving import Resolver
from controlplane.storage.identities import Identities


class Organisation(Protocol):
    """The organisation that this control plane speaks for, as it is now."""

    @property
    def did(self) -> str:
        """Its DID."""
        ...

    @property
    def public(self) -> PublicKey:
        """The key that it signs with."""
        ...


class Registry(Protocol):
    """Registered subjects."""

    async def get(self, device_id: str) -> Device | None:
        """Return a subject by id, or none."""
        ...

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a subject by its key, or none."""
        ...

    async def by_former_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a subject by a key that it had before, or none."""
        ...

    async def enrol(self, token: str | None, device: Device) -> bool:
        """Use the token, where there is one, and add the device, both or neither."""
        ...

    async def rotate(self, device: Device, record: Record) -> None:
        """Give a device another key, as a record says; `RecordRefused` where it may not be."""
        ...

    async def record_behaviour(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution] = ()
    ) -> frozenset[str]:
        """Keep what becomes of subjects in one transaction, except for who was changed meanwhile: return these."""
        ...

    async def set_status(self, device_id: str, status: DeviceStatus, *, initiator: Initiator = ...) -> bool:
        """Set a subject's status; false when there is no such subject, or it is revoked."""
        ...


class Shown(Protocol):
    """What everybody is shown of identities."""

    async def records(self, start: int, limit: int) -> ShownRecords:
        """Return records from a number on, each with its proof."""
        ...


class Tokens(Protocol):
    """Enrolment tokens."""

    async def lookup(self, token: str) -> EnrolmentGrant | None:
        """Return what a token allows, or none."""
        ...

    async def issue(self, roles: Sequence[str], segment: str, lifetime_seconds: float, count: int = 1) -> list[str]:
        """Return new tokens; they cannot be read again."""
        ...


@dataclass(frozen=True)
class IdentityParts:
    """What knows newcomers, and what others are told of identities.

    Attributes:
        tokens: for enrolment.
        credentials: examines issuers' credentials.
        manufacturers: examines manufacturers' certificates.
        resolver: says what DIDs stand for.
        records: signed records of subjects, as they are made here.
        shown: what everybody is shown of them; none where they lie on another ledger.
        organisation: that this control plane speaks for; none where it speaks for none.
    """

    tokens: Tokens
    credentials: Credentials
    manufacturers: Manufacturers
    resolver: Resolver
    records: Identities
    shown: Shown | None
    organisation: Organisation | None
