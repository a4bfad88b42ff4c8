"""What identity needs of a store."""

from collections.abc import Collection, Mapping
from typing import Protocol

from controlplane.contracts.identity import Device, DeviceStatus, EnrolmentGrant, Trust


class TokenStore(Protocol):
    """Keeps enrolment tokens by their hash."""

    async def add_many(self, grants: Mapping[str, EnrolmentGrant]) -> None:
        """Keep new tokens, all or none."""
        ...

    async def get(self, token_hash: str) -> EnrolmentGrant | None:
        """Return what a token allows, or none."""
        ...


class DeviceStore(Protocol):
    """Keeps devices."""

    async def get(self, device_id: str) -> Device | None:
        """Return a device by id, or none."""
        ...

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a device by its key's thumbprint, or none."""
        ...

    async def set_status(self, device_id: str, status: DeviceStatus) -> bool:
        """Set a device's status; false when there is no such device."""
        ...


class BehaviourStore(Protocol):
    """Keeps what behaviour found."""

    async def apply(self, trust: Mapping[str, Trust], quarantined: Collection[str]) -> None:
        """Keep new trust and set active subjects apart, in one transaction."""
        ...


class RegistryStore(Protocol):
    """What the registry needs."""

    @property
    def devices(self) -> DeviceStore:
        """Devices."""
        ...

    @property
    def behaviour(self) -> BehaviourStore:
        """What behaviour found."""
        ...

    async def enrol(self, token_hash: str, device: Device) -> bool:
        """Use up a token and add a device, both or neither."""
        ...
