"""``/access/v1/evaluation`` and ``evaluations``: AuthZEN 1.0, for enforcement points that speak the standard."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from aiohttp import web
from pydantic import ValidationError

from controlplane.api.admin import administer
from controlplane.api.asking import Question, answer, believe, read_question
from controlplane.api.authentication import authenticate
from controlplane.api.problems import ProblemError, invalid, unavailable
from controlplane.api.reading import MAX_BODY_BYTES
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.audit import AuditUnavailable
from controlplane.contracts.access import EvaluationRequest, EvaluationsRequest, Semantic
from controlplane.contracts.decision import AccessResponse, AccessResponses, Decision, EvaluationsAnswer
from controlplane.contracts.identity import Device
from controlplane.storage import StoreUnavailable

_PARTS = ("subject", "action", "resource", "context")
_ENDS_ON: Mapping[Semantic, bool | None] = {
    "execute_all": None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}
"""The decision after which a batch is not carried on."""

_log = structlog.get_logger("ztfm.api")


async def evaluate(request: web.Request) -> web.Response:
    """Decide one request on behalf of a subject; a denial is 200 with ``decision: false``."""
    caller = await authenticate(request)
    return await _evaluate_one(request, caller, await read_question(request, EvaluationRequest))


async def evaluate_batch(request: web.Request) -> web.Response:
    """Decide up to 100 requests, order kept; each element stands for itself, and its faults stay in it."""
    caller = await authenticate(request)
    body = await read_question(request, EvaluationsRequest, MAX_BODY_BYTES)
    defaults = {name: part for name, part in body.model_dump(include=set(_PARTS)).items() if part is not None}
    if not body.evaluations:
        return await _evaluate_one(request, caller, _validated(defaults))
    asked = await administer(request, caller, "evaluation:ask", "evaluation", "evaluations")
    may_assert = asked.obligations.may_assert
    elements = [(index, {**defaults, **element}) for index, element in enumerate(body.evaluations)]
    ends_on = _ENDS_ON[body.options.evaluations_semantic]
    if ends_on is None:
        answers = await asyncio.gather(*(_evaluate_element(request, *element, may_assert) for element in elements))
        return reply(AccessResponses(evaluations=list(answers)))
    given: list[AccessResponse] = []
    for element in elements:
        given.append(await _evaluate_element(request, *element, may_assert))
        if given[-1].decision is ends_on:
            break
    return reply(AccessResponses(evaluations=given))


async def _evaluate_one(request: web.Request, caller: Device, asked: EvaluationRequest) -> web.Response:
    # Whether it fits does not depend on who asks, so that is said before policy is asked whether this caller may.
    _question(asked, (), "")
    allowed = await administer(request, caller, "evaluation:ask", "evaluation", "evaluation")
    decision = await answer(request, _question(asked, allowed.obligations.may_assert, ""))
    if decision.outcome == "error":
        raise unavailable(_said(decision))
    return reply(as_response(decision))


async def _evaluate_element(
    request: web.Request, index: int, element: dict[str, Any], may_assert: Collection[str]
) -> AccessResponse:
    prefix = f"/evaluations/{index}"
    try:
        decision = await answer(request, _question(_validated(element, prefix), may_assert, prefix))
    except ProblemError as error:
        named = "; ".join(f"{field.pointer}: {field.detail}" for field in error.problem.errors or [])
        return _faulty(error.problem.status, named or error.problem.detail)
    except (StoreUnavailable, AuditUnavailable) as error:
        _log.error("store_unavailable", route="/access/v1/evaluations", error=type(error).__name__)
        return _faulty(503, "The control plane's store cannot be used; nothing was granted.")
    return as_response(decision)


def _validated(document: dict[str, Any], prefix: str = "") -> EvaluationRequest:
    try:
        return EvaluationRequest.model_validate(document)
    except ValidationError as error:
        raise invalid(error, document, prefix) from None


def _question(asked: EvaluationRequest, may_assert: Collection[str], prefix: str) -> Question:
    try:
        return believe(asked, may_assert)
    except ValidationError as error:
        raise invalid(error, asked.model_dump(), prefix) from None


def _faulty(status: int, message: str) -> AccessResponse:
    return AccessResponse(
        decision=False, context={"outcome": "error", "error": {"status": status, "message": message[:1024]}}
    )


def _said(decision: Decision) -> str:
    return "; ".join(reason.message for reason in decision.reasons)


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
    if decision.outcome == "error":
        context["error"] = {"status": 503, "message": _said(decision)}
    return AccessResponse(decision=decision.allowed, context=context)


_PROBLEMS = (400, 401, 403, 408, 413, 415, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/access/v1/evaluation",
        evaluate,
        "Decide one request (AuthZEN 1.0)",
        body=EvaluationRequest,
        replies={200: AccessResponse},
        problems=_PROBLEMS,
        proof=True,
    ),
    Route(
        "POST",
        "/access/v1/evaluations",
        evaluate_batch,
        "Decide up to 100 requests, order kept (AuthZEN 1.0)",
        body=EvaluationsRequest,
        replies={200: EvaluationsAnswer},
        problems=_PROBLEMS,
        proof=True,
    ),
)
