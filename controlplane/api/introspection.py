"""``/oauth/introspect`` and ``/oauth/revoke``: what a token is worth now, and making it void (RFC 7662, RFC 7009)."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.admin import administer
from controlplane.api.forms import MEDIA_TYPE, read_form
from controlplane.api.granting import access_of, constraints_of, scheme_of_token
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import refused
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import InferenceSize, Network, Resource, ResourceProperties
from controlplane.contracts.base import is_identifier
from controlplane.contracts.capability import CapabilityClaims, CapabilityContext, CapabilityRequest, Constraints
from controlplane.contracts.decision import Decision, DecisionRecord
from controlplane.contracts.identity import Device
from controlplane.contracts.oauth import AccessTokenClaims, Introspection, OAuthProblem, TokenParameter
from controlplane.jose.jws import parse, parse_object

_INACTIVE = Introspection(active=False)


async def introspect(request: web.Request) -> web.Response:
    """Say whether a token is active, to those whom policy lets ask: enforcement points, and its own subject."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    form = await read_form(request, TokenParameter)
    claims = _recognise(services, form.token)
    identifier = claims.jti if claims else "unknown"
    asked = await administer(
        request, caller, "capability:introspect", "capability", identifier, _stated_subject(form.token)
    )
    if isinstance(claims, CapabilityClaims):
        answer = await _capability(services, claims, asked)
    else:
        answer = await _access_token(services, claims, asked) if claims else _INACTIVE
    services.metrics.capabilities.introspections.labels("active" if answer.active else "inactive").inc()
    return reply(answer)


async def revoke(request: web.Request) -> web.Response:
    """Make a token void for every replica and enforcement point; 200 also for what is no token that holds."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    form = await read_form(request, TokenParameter)
    claims = _recognise(services, form.token)
    if claims is not None:
        await administer(request, caller, "capability:revoke", "capability", claims.jti, claims.sub)
        is_own = claims.sub == caller.id
        await services.revocation.revoker.revoke_capability(
            claims.jti,
            claims.exp,
            claims.decision_id if isinstance(claims, CapabilityClaims) else claims.jti,
            claims.iat,
            reason="Given back by its subject." if is_own else "Revoked at the revocation endpoint.",
            initiator="user" if is_own else "admin",
        )
    return web.Response(headers={"Cache-Control": "no-store"})


def _recognise(services: Services, token: str) -> CapabilityClaims | AccessTokenClaims | None:
    for read in (services.capabilities.verifier.recognise, services.capabilities.access_tokens.verify):
        claims = read(token)
        if not isinstance(claims, Refused):
            return claims
    return None


def _stated_subject(token: str) -> str | None:
    """Return whom a token is about by its own word: who asks about what is no token of theirs learns nothing by it."""
    parsed = parse(token)
    try:
        stated = parse_object(parsed.payload).get("sub") if parsed else None
    except (ValueError, RecursionError):
        return None
    return stated if isinstance(stated, str) and is_identifier(stated) else None


async def _access_token(services: Services, claims: AccessTokenClaims, asked: Decision) -> Introspection:
    device = await services.registry.get(claims.sub)
    if device is None or device.status == "revoked" or not _still_bound(claims, device):
        return _INACTIVE
    return Introspection(active=True, scope=claims.scope, aud=claims.aud, decision_id=asked.id, **_common(claims))


async def _capability(services: Services, claims: CapabilityClaims, asked: Decision) -> Introspection:
    device = await services.registry.get(claims.sub)
    if device is None or device.status != "active" or not _still_bound(claims, device):
        return _INACTIVE
    record = await services.transparency.log.get(claims.decision_id)
    question = _question(record, claims) if record else None
    if record is None or question is None:
        return _INACTIVE
    decision = await _decide_again(services, question, record, device, claims, asked)
    if decision.outcome == "error":
        raise refused(decision)
    limits = constraints_of(question, decision, device.segment)
    if not decision.allowed or not covers(limits, claims.detail.constraints):
        return _INACTIVE
    return Introspection(
        active=True,
        aud=claims.aud,
        authorization_details=claims.authorization_details,
        decision_id=decision.id,
        policy_revision=decision.policy_revision,
        **_common(claims),
    )


def _question(record: DecisionRecord, claims: CapabilityClaims) -> CapabilityRequest | None:
    """Return what the capability was asked for, or none when the record is not of this capability."""
    facts: Any = record.facts
    detail = claims.detail
    try:
        asked = CapabilityRequest(
            action=facts["action"]["name"],
            resource=Resource(
                type=facts["resource"]["type"],
                id=facts["resource"]["id"],
                properties=ResourceProperties.model_validate(facts["resource"]["properties"]),
            ),
            audience=claims.aud,
            context=CapabilityContext(
                purpose=facts["context"].get("purpose"),
                round_id=detail.constraints.round_id,
                inference=_size(facts["context"].get("inference")),
            ),
        )
    except (KeyError, TypeError, AttributeError, ValidationError):
        return None
    stated = (asked.action, asked.resource.type, asked.resource.id, record.subject)
    return asked if stated == (detail.action, detail.resource_type, detail.resource_id, claims.sub) else None


def _size(stated: Any) -> InferenceSize | None:
    return None if stated is None else InferenceSize.model_validate(stated)


async def _decide_again(
    services: Services,
    question: CapabilityRequest,
    record: DecisionRecord,
    device: Device,
    claims: CapabilityClaims,
    asked: Decision,
) -> Decision:
    """Ask policy the same again, with what is known now.

    It uses up nothing, and what it used the first time does not count against it.
    """
    access = access_of(question, device.id)
    facts: Any = record.facts
    address = Network.model_validate(facts["context"]["network"]).address
    gathered, _ = await services.gatherer.gather(access, device, address, search=asked.id)
    usage = gathered["context"]["usage"]
    if services.clock() - claims.iat < usage["window_seconds"]:
        size = question.context.inference
        own = size.prompt_tokens + size.max_output_tokens if size else 0
        usage["requests"] = max(0, usage["requests"] - 1)
        usage["tokens"] = max(0, usage["tokens"] - own)
    return await services.decider.decide(question.action, gathered)


def covers(now: Constraints, held: Constraints) -> bool:
    """Whether what would be granted ``now`` is no narrower than what is ``held``, limit by limit."""
    return all(_covers(getattr(now, name), getattr(held, name)) for name in Constraints.model_fields)


def _covers(now: object, held: object) -> bool:
    if now is None or now == held:
        return True
    if isinstance(now, (int, float)) and isinstance(held, (int, float)) and not isinstance(now, bool):
        return held <= now
    return now == "full" and held == "label_only"


def _still_bound(claims: CapabilityClaims | AccessTokenClaims, device: Device) -> bool:
    return claims.cnf.jkt in (None, device.key_thumbprint)


def _common(claims: CapabilityClaims | AccessTokenClaims) -> dict[str, Any]:
    return {
        "token_type": scheme_of_token(claims.cnf),
        "client_id": claims.client_id,
        "iss": claims.iss,
        "sub": claims.sub,
        "exp": int(claims.exp),
        "iat": int(claims.iat),
        "jti": claims.jti,
        "cnf": claims.cnf,
    }


_PROBLEMS = (400, 401, 403, 408, 413, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/oauth/introspect",
        introspect,
        "Say what a token is worth now, as policy stands (RFC 7662)",
        body=TokenParameter,
        body_type=MEDIA_TYPE,
        replies={200: Introspection},
        problems=_PROBLEMS,
        error=OAuthProblem,
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/oauth/revoke",
        revoke,
        "Make a token void (RFC 7009)",
        body=TokenParameter,
        body_type=MEDIA_TYPE,
        replies={200: None},
        media_type="",
        problems=_PROBLEMS,
        error=OAuthProblem,
        proof=True,
        people=True,
    ),
)
