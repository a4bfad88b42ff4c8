"""Whether a capability to submit has an update sealed, and to which key; whoever announces another is not believed."""

from collections.abc import Mapping

from pydantic import ValidationError

from adapters.errors import Unavailable
from controlplane.confidentiality.releasing import key_digest
from controlplane.contracts.attestation import ReleaseKey
from controlplane.contracts.capability import CapabilityClaims
from controlplane.jose.jws import parse, parse_object


def sealed_to(capability: str) -> str | None:
    """Return the digest of the key that a capability has an update sealed to; none where it may come in any way.

    Args:
        capability: as the control plane handed it out; nothing is verified.

    Raises:
        Unavailable: it is none that this version understands, so that nothing is sent for it.
    """
    return claims_of(capability).detail.constraints.sealed_to


def claims_of(capability: str) -> CapabilityClaims:
    """Return what a capability says, as the control plane handed it out; nothing is verified.

    Raises:
        Unavailable: it is none that this version understands.
    """
    token = parse(capability)
    try:
        return CapabilityClaims.model_validate(parse_object(token.payload) if token else None)
    except (ValidationError, ValueError, RecursionError):
        raise Unavailable("the capability cannot be read: compare the versions of both sides") from None


def announced_key(document: Mapping[str, object], digest: str) -> ReleaseKey:
    """Return the aggregator's key, as it announces it, where it is the one that the control plane vouches for.

    Args:
        document: the announcement.
        digest: of the key, as the capability has it.

    Raises:
        Unavailable: it announces none, or another.
    """
    try:
        key = ReleaseKey.model_validate(document.get("update_key"))
    except ValidationError:
        raise Unavailable("the update has to be sealed, and the aggregator announces no key to seal it to") from None
    if key_digest(key) != digest:
        raise Unavailable("the aggregator announces another key than its evidence binds: nothing is sent to it")
    return key
