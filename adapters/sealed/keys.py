"""The keys of sealed weights, as they are released to this platform."""

from collections.abc import Collection
from typing import Protocol

from adapters.sealed.demanded import claims_of
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.confidentiality.releasing import open_release
from controlplane.confidentiality.shards import secret_id
from controlplane.contracts.access import Purpose
from controlplane.contracts.secrets import ReleasedSecret


class Releases(Protocol):
    """Asks for secrets; `adapters.client.SyncControlPlane` does."""

    def release_secret(self, name: str, purpose: Purpose, capability: str | None = None) -> ReleasedSecret:
        """Return a secret, sealed to this device's attested release key."""
        ...


def fetch_shards(
    plane: Releases, device: str, key: PrivateReleaseKey, capability: str, shards: Collection[str] = ()
) -> dict[str, bytes]:
    """Return the secrets of a model's shards that a capability lets this device have.

    Args:
        plane: the control plane, spoken to as the device.
        device: its name.
        key: whose public half its evidence binds.
        capability: to pull the model.
        shards: which ones; empty for all that the capability names.

    Raises:
        ControlPlaneError: any of `adapters.errors`; `Forbidden` says what policy misses.
        SealRefused: what came does not open: it was sealed to another key, or is another's.
        ValueError: the capability names no shards, and none are asked for.
    """
    claims = claims_of(capability)
    limits = claims.detail.constraints
    wanted = list(shards) or list(limits.shards or ())
    if not wanted:
        raise ValueError("name the shards: the capability is for all of the weights, and names none")
    found = {}
    for shard in wanted:
        name = secret_id(claims.detail.resource_id, shard)
        released = plane.release_secret(name, limits.purpose or "serving", capability)
        found[shard] = open_release(released, key, secret=name, device=device)
    return found
