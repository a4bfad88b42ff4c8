"""``/access/v1``: AuthZEN 1.0 evaluations, for enforcement points that speak the standard."""

import asyncio
from collections.abc import Collection

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.admin import administer
from controlplane.api.deciding import decide
from controlplane.api.problems import invalid, unavailable
from controlplane.api.reading import address_of, authenticate, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.access import (
    AccessRequest,
    AccessRequests,
    PartialAccessRequest,
    RequestContext,
    ResourceProperties,
)
from controlplane.contracts.decision import AccessResponse, AccessResponses, Decision

_PARTS = ("subject", "action", "resource", "context")


async def evaluate(request: web.Request) -> web.Response:
    """Decide one request on behalf of a subject; a denial is 200 with ``decision: false``."""
    caller = await authenticate(request)
    body = await read_body(request, AccessRequest)
    asked = await administer(request, caller, "evaluation:ask", "evaluation", "evaluation")
    decision = await _decide(request, body, asked.obligations.may_assert)
    if decision.outcome == "error":
        raise unavailable("; ".join(reason.message for reason in decision.reasons))
    return reply(as_response(decision))


async def evaluate_batch(request: web.Request) -> web.Response:
    """Decide up to 100 requests, order kept; each element stands for itself."""
    caller = await authenticate(request)
    body = await read_body(request, AccessRequests)
    completed = [complete(body, element, index) for index, element in enumerate(body.evaluations)]
    asked = await administer(request, caller, "evaluation:ask", "evaluation", "evaluations")
    decisions = await asyncio.gather(*(_decide(request, item, asked.obligations.may_assert) for item in completed))
    return reply(AccessResponses(evaluations=[as_response(decision) for decision in decisions]))


async def _decide(request: web.Request, access: AccessRequest, may_assert: Collection[str]) -> Decision:
    services = request.app[SERVICES]
    believed = strip(access, may_assert)
    device = await services.registry.get(access.subject.id)
    return await decide(services, believed, device, address_of(request))


def strip(access: AccessRequest, may_assert: Collection[str]) -> AccessRequest:
    """Return the request less the declared facts for which policy does not take this caller's word."""
    context = access.context or RequestContext()
    withheld = {name: None for name in RequestContext.model_fields if f"context.{name}" not in may_assert}
    resource = access.resource
    if resource.properties is not None and "resource.properties.digest" not in may_assert:
        kept = ResourceProperties.model_validate(resource.properties.model_extra or {})
        resource = resource.model_copy(update={"properties": kept})
    return access.model_copy(update={"context": context.model_copy(update=withheld), "resource": resource})


def complete(batch: AccessRequests, element: PartialAccessRequest, index: int) -> AccessRequest:
    """Return an element with the batch's defaults for what it leaves out.

    Raises:
        ProblemError: 400 when a part is in neither.
    """
    parts = {part: getattr(element, part) or getattr(batch, part) for part in _PARTS}
    try:
        return AccessRequest(**{name: part for name, part in parts.items() if part is not None})
    except ValidationError as error:
        raise invalid(error, {}, f"/evaluations/{index}") from None


def as_response(decision: Decision) -> AccessResponse:
    """Return a decision in AuthZEN's form."""
    context: dict[str, object] = {
        "id": decision.id,
        "outcome": decision.outcome,
        "policy_revision": decision.policy_revision,
        "ttl_seconds": decision.ttl_seconds,
        "obligations": decision.obligations.model_dump(exclude_defaults=True),
    }
    if decision.reasons:
        context["reasons"] = [reason.model_dump() for reason in decision.reasons]
    return AccessResponse(decision=decision.allowed, context=context)


_PROBLEMS = (400, 401, 403, 408, 413, 415, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/access/v1/evaluation",
        evaluate,
        "Decide one request (AuthZEN 1.0)",
        body=AccessRequest,
        replies={200: AccessResponse},
        problems=_PROBLEMS,
        proof=True,
    ),
    Route(
        "POST",
        "/access/v1/evaluations",
        evaluate_batch,
        "Decide up to 100 requests, order kept (AuthZEN 1.0)",
        body=AccessRequests,
        replies={200: AccessResponses},
        problems=_PROBLEMS,
        proof=True,
    ),
)
