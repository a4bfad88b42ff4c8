"""Decide, then mint: the one way to a capability, whichever endpoint it is asked for at."""

from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from controlplane.api.authentication import Authenticated, as_known_now
from controlplane.api.deciding import decide
from controlplane.api.problems import problem, refused, unavailable
from controlplane.api.reading import address_of
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.grouping import group_digest, group_of
from controlplane.confidentiality.releasing import key_digest
from controlplane.contracts.access import AccessRequest, Action, RequestContext, Subject
from controlplane.contracts.capability import (
    AuthorizationDetail,
    CapabilityClaims,
    CapabilityRequest,
    Confirmation,
    Constraints,
)
from controlplane.contracts.decision import Decision
from controlplane.jose.jws import read_header


@dataclass(frozen=True, slots=True)
class Granted:
    """A capability that was minted, and the decision behind it."""

    token: str
    claims: CapabilityClaims
    decision: Decision


async def grant(request: web.Request, caller: Authenticated, asked: CapabilityRequest) -> Granted:
    """Return a capability for what ``caller`` asks, bound to the key or certificate that it proved.

    Raises:
        ProblemError: 400 when it is for the control plane itself, whose own API takes access tokens; 401 for a caller
            who is none any more; 403 when policy denies it, with what is missing; 503 when policy cannot be asked, the
            caller was shut out while it was, or an update has to be sealed to an aggregator that has not proven its
            platform.
    """
    services = request.app[SERVICES]
    if is_own_audience(services, asked.audience):
        raise problem(
            "invalid-request", 400, "The audience is the control plane itself", "Name an enforcement point instead."
        )
    device, asked_at = await as_known_now(request, caller.device), services.clock()
    decision = await decide(services, access_of(asked, device.id), device, address_of(request))
    if not decision.allowed:
        raise refused(decision)
    if services.revocation.revoker.is_overtaken(device.id, asked_at):
        raise unavailable("How the subject stands changed while this was decided; ask again.")
    sealed_to = await _sealed_to(services, asked, decision)
    group = await _group(services, asked, decision, device.id)
    token, claims = services.capabilities.minter.mint(
        subject=device.id,
        thumbprint=device.key_thumbprint,
        certificate=caller.confirmation.x5t,
        audience=asked.audience,
        detail=AuthorizationDetail.of_trusted(
            type="ztfm",
            action=asked.action,
            resource_type=asked.resource.type,
            resource_id=asked.resource.id,
            constraints=constraints_of(asked, decision, device.segment, sealed_to, group),
        ),
        decision_id=decision.id,
        policy_revision=decision.policy_revision,
        ttl_seconds=decision.ttl_seconds,
    )
    place = services.segmentation.segmenting.place_of(device.id)
    if place is not None:
        await services.segmentation.segmenting.open(place, device, claims, str(read_header(token)["kid"]))
    services.metrics.capabilities.issued.labels(asked.action).inc()
    return Granted(token, claims, decision)


def is_own_audience(services: Services, audience: str) -> bool:
    """Whether an audience is the control plane; a capability for it could be taken for a token for its API."""
    own = {url.lower() for url in (services.public_url, services.access.tls_url) if url}
    return audience.rstrip("/").lower() in own


def scheme_of_token(confirmation: Confirmation) -> Literal["DPoP", "Bearer"]:
    """Return the ``token_type`` of a token that is bound so (RFC 9449 section 5, RFC 8705 section 3)."""
    return "DPoP" if confirmation.jkt is not None else "Bearer"


def access_of(asked: CapabilityRequest, subject: str) -> AccessRequest:
    """Return the question that policy is asked."""
    # Its parts are validated already, or ours: this is on the path of every capability.
    return AccessRequest.of_trusted(
        subject=Subject.of_trusted(type="device", id=subject),
        action=Action.of_trusted(name=asked.action),
        resource=asked.resource,
        context=RequestContext.of_trusted(
            purpose=asked.context.purpose, round_id=asked.context.round_id, inference=asked.context.inference
        ),
    )


async def _sealed_to(services: Services, asked: CapabilityRequest, decision: Decision) -> str | None:
    """Return the digest of the key that an update must be sealed to; none where it may come in any way.

    Raises:
        ProblemError: 503 when it must be, and the round's aggregator has not proven its platform as policy asks.
    """
    terms = decision.obligations.seal
    if terms is None:
        return None
    key = await services.training.recipients.key_for(asked.context.round_id, terms)
    if key is None:
        detail = "Updates of this model are sealed to the aggregator's platform. It attests with a release key first."
        what, again = "The round's aggregator has not proven its platform", {"Retry-After": "5"}
        raise problem("aggregator-unattested", 503, what, detail, headers=again)
    return key_digest(key)


async def _group(services: Services, asked: CapabilityRequest, decision: Decision, subject: str) -> str | None:
    """Return the digest of the group whose sum an update goes into; none where updates are seen.

    Raises:
        ProblemError: 503 when the round says nothing of groups.
    """
    if decision.obligations.confidentiality != "grouped" or asked.context.round_id is None:
        return None
    found = await services.training.rounds.get(asked.context.round_id)
    if found is None or found.grouping is None or found.group_size is None:
        raise unavailable("The round says nothing of groups, and updates of its model are seen in sums alone.")
    return group_digest(group_of(found.grouping, found.members, found.group_size, subject))


def constraints_of(
    asked: CapabilityRequest,
    decision: Decision,
    segment: str,
    sealed_to: str | None = None,
    group: str | None = None,
) -> Constraints:
    """Return the limits that a capability carries: what was asked for and decided, and nothing wider.

    Args:
        asked: by the subject.
        decision: whose obligations bound what was asked.
        segment: of the subject.
        sealed_to: digest of the key that an update must be sealed to; none for in any way.
        group: digest of those whose updates it may be summed with; none for nobody's.
    """
    limits = decision.obligations
    if asked.action == "inference":
        return Constraints.of_trusted(segment=segment, max_output_tokens=limits.max_output_tokens, detail=limits.detail)
    if asked.action == "gradient_submission":
        return Constraints.of_trusted(
            round_id=asked.context.round_id,
            segment=segment,
            one_time=True,
            max_bytes=limits.max_bytes,
            max_norm=limits.max_norm,
            epsilon=limits.epsilon,
            privacy=limits.privacy,
            confidentiality=limits.confidentiality,
            sealed_to=sealed_to,
            group=group,
        )
    digest = asked.resource.properties.digest if asked.resource.properties else None
    return Constraints.of_trusted(
        round_id=asked.context.round_id,
        segment=segment,
        model_digest=digest,
        purpose=asked.context.purpose,
        max_bytes=limits.max_bytes,
        shards=limits.shards,
    )
