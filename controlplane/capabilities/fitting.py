"""Whether a capability that holds is for what is being done: the action, the place, and the connection."""

from collections.abc import Collection

from controlplane.capabilities.refusals import Cause
from controlplane.contracts.capability import CapabilityClaims


def misused(
    claims: CapabilityClaims, action: str, resource_id: str | None, round_id: str | None, model_digest: str | None
) -> Cause | None:
    """Return why a capability is not for an action, on a resource, in a round, with weights."""
    detail = claims.detail
    if detail.action != action:
        return "wrong_action"
    if resource_id not in (None, detail.resource_id):
        return "wrong_resource"
    if detail.constraints.round_id != round_id:
        return "wrong_round"
    if detail.constraints.model_digest not in (None, model_digest):
        return "wrong_digest"
    return None


def misplaced(claims: CapabilityClaims, sealed_to: str | None, shards: Collection[str] | None) -> Cause | None:
    """Return why a capability does not hold for what came sealed to a key, or for parts that are handed out."""
    constraints = claims.detail.constraints
    if constraints.sealed_to not in (None, sealed_to):
        return "not_sealed"
    if constraints.shards is not None and (shards is None or not set(shards) <= set(constraints.shards)):
        return "wrong_shards"
    return None


def uncertified(claims: CapabilityClaims, certificate: str | None) -> Cause | None:
    """Return why a capability that is bound to a certificate does not hold over a connection made with one, or none."""
    if certificate is None:
        return "certificate_missing"
    return None if certificate == claims.cnf.x5t else "wrong_certificate"
