"""What our own names stand for: a device's registered name is that of a ``did:key``, whose standing is known here."""

from collections.abc import Callable
from typing import Protocol

from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Device, PublicKey
from controlplane.identifiers.didkey import did_key, parse_did_key
from controlplane.identifiers.dids import DidInvalid
from controlplane.identifiers.documents import Resolution, unresolved
from controlplane.identity.resolving.resolver import Resolver
from controlplane.jose.keys import thumbprint


class KnownDevices(Protocol):
    """Where devices are registered."""

    async def get(self, device_id: str) -> Device | None:
        """Return a device by its name, or none."""
        ...

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a device by its key, or none."""
        ...

    async def by_former_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a device by a key that it had before, or none."""
        ...


async def named_device(name: str, devices: KnownDevices) -> Device | None:
    """Return the device that a registered name or a ``did:key`` stands for, or stood for before it had another key."""
    if not name.startswith("did:"):
        return await devices.get(name) if is_identifier(name) else None
    try:
        key = parse_did_key(name)
    except DidInvalid:
        return None
    if not isinstance(key, PublicKey):
        return None
    mark = thumbprint(key)
    return await devices.by_thumbprint(mark) or await devices.by_former_thumbprint(mark)


async def resolve_name(name: str, device: Device | None, resolver: Resolver, clock: Callable[[], float]) -> Resolution:
    """Return what a DID, or a name of ours, stands for.

    Args:
        name: a DID, or a device's registered name.
        device: that it stands for, if it does (`named_device`).
        resolver: of DIDs.
        clock: Unix seconds.

    Returns:
        Of a device that was revoked, a document without keys that says so, though a ``did:key`` by itself cannot end;
        the same of a key that a device had before, with the DID that the device has now.
    """
    if device is None:
        if name.startswith("did:"):
            return await resolver.resolve(name)
        return unresolved("notFound", "no device of that name is enrolled here", clock())
    present = did_key(device.key)
    is_former = name.startswith("did:") and name != present
    found = await resolver.resolve(name if is_former else present)
    if found.did_document is None:
        return found
    is_over = is_former or device.status == "revoked"
    metadata = found.did_document_metadata.model_copy(
        update={
            "deactivated": is_over or None,
            "canonical_id": present,
            "equivalent_id": [device.id],
        }
    )
    document = found.did_document
    if is_over:
        nothing: list[str] = []
        document = document.model_copy(
            update={
                "verification_method": [],
                "authentication": nothing,
                "assertion_method": nothing,
                "capability_invocation": None,
                "capability_delegation": None,
            }
        )
    return found.model_copy(update={"did_document": document, "did_document_metadata": metadata})
