"""What identity needs of a store."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from controlplane.contracts.events import Initiator, Notice
from controlplane.contracts.identity import Device, DeviceStatus, EnrolmentGrant, Trust
from controlplane.contracts.observed import Observed, Tell
from controlplane.contracts.rollback import Contribution
from controlplane.identifiers.records import Record


class TokenStore(Protocol):
    """Keeps enrolment tokens by their hash."""

    async def add_many(self, grants: Mapping[str, EnrolmentGrant]) -> None:
        """Keep new tokens, all or none."""
        ...

    async def get(self, token_hash: str) -> EnrolmentGrant | None:
        """Return what a token allows, or none."""
        ...

    async def consume(self, token_hash: str, now: float) -> bool:
        """Use up a token; false when it is unknown, was used, or expired before ``now`` (Unix seconds)."""
        ...


class DeviceStore(Protocol):
    """Keeps devices."""

    async def get(self, device_id: str) -> Device | None:
        """Return a device by id, or none."""
        ...

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a device by its key's thumbprint, or none."""
        ...

    async def set_status(
        self, device_id: str, status: DeviceStatus, notice: Notice | None = None, newcomer: Trust | None = None
    ) -> bool:
        """Set a device's status and write ``notice`` in one transaction; false when it is unknown, or revoked.

        One that is let back has the trust of a ``newcomer``.
        """
        ...


class RotationStore(Protocol):
    """Gives devices other keys, and knows those that they had before."""

    async def former_holder(self, mark: str) -> str | None:
        """Return which device had the key of a thumbprint before the one that it has, or none."""
        ...

    async def rotate(self, device: str, record: Record, notice: Notice, now: float) -> None:
        """Give a device another key, and write the record and the notice of it, in one transaction.

        Raises:
            RecordRefused: it may not be; nothing changes.
        """
        ...


class BehaviourStore(Protocol):
    """Keeps what behaviour found."""

    async def apply(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution], tell: Tell
    ) -> frozenset[str]:
        """Keep what observations made of their subjects, and write the notice of it, in one transaction.

        Returns the subjects that somebody else changed meanwhile; of them nothing was written.
        """
        ...


class RegistryStore(Protocol):
    """What the registry needs."""

    @property
    def devices(self) -> DeviceStore:
        """Devices."""
        ...

    @property
    def identities(self) -> RotationStore:
        """Signed records of devices."""
        ...

    @property
    def behaviour(self) -> BehaviourStore:
        """What behaviour found."""
        ...

    async def enrol(self, token_hash: str | None, device: Device) -> bool:
        """Use up a token, where there is one, and add a device, both or neither."""
        ...


class Announcer(Protocol):
    """Says what a change of status makes void, and tells those whom it concerns."""

    def status_notice(
        self, subjects: Collection[str], status: DeviceStatus, *, initiator: Initiator, txn: str | None = None
    ) -> Notice:
        """Return what is to be written in one transaction with the change."""
        ...

    def rotation_notice(self, subject: str) -> Notice:
        """Return what is to be written in one transaction with the change of a subject's key."""
        ...

    def written(self, notice: Notice) -> None:
        """The transaction was committed."""
        ...
