"""``/v1/workbench``: policies as somebody edits them, before anybody signs them; only a release changes anything."""

from typing import TypeVar

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.decisions import LOG
from controlplane.api.people import authenticate_administrator
from controlplane.api.policies import ALL, released
from controlplane.api.problems import not_found, problem
from controlplane.api.reading import MAX_BODY_BYTES, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Responder, Route
from controlplane.api.services import SERVICES
from controlplane.api.shadow import SHADOW
from controlplane.api.trying import refusal, tried
from controlplane.bundles import BundleRefused
from controlplane.contracts.base import StrictModel
from controlplane.contracts.identity import Caller
from controlplane.contracts.policies import LAYERS, Release
from controlplane.contracts.shadow import ShadowReport
from controlplane.contracts.workbench import (
    CheckedDraft,
    CheckRequest,
    DraftBundle,
    EvaluatedDraft,
    EvaluateRequest,
    PolicyDraft,
    PolicySources,
    ReplayedDraft,
    ReplayRequest,
    ShadowedDraft,
    SignedDraft,
    TestedDraft,
)

BENCH = "workbench"
"""What is decided about: no policies of anybody's yet."""

Asked = TypeVar("Asked", bound=StrictModel)

_log = structlog.get_logger("ztfm.workbench")


async def show_sources(request: web.Request) -> web.Response:
    """Return the policies that are edited: those that are to decide, or the installation's where these bring no source.

    Rules, tests, examples, data and schemas; changes that are sent elsewhere are changes of these.
    """
    caller = await authenticate_administrator(request)
    await administer(request, caller, "policy:read", "policy", ALL)
    given = request.query
    [*layers] = [layer for layer in LAYERS if given.get("layer", "base") == layer]
    if len(given) > 1 or set(given) - {"layer"} or not layers:
        detail = f"`layer` alone may be given, once: {', '.join(LAYERS)}."
        raise problem("invalid-request", 400, "The query does not fit", detail)
    return reply(await tried(request, request.app[SERVICES].workbench.sources(layers[0])))


async def check_draft(request: web.Request) -> web.Response:
    """Return what `ztfm policy check` finds in a draft: OPA's own messages among it, with line and column."""
    caller = await authenticate_administrator(request)
    asked = await _asked(request, caller, CheckRequest)
    return reply(await tried(request, request.app[SERVICES].workbench.check(asked, caller.id)))


async def test_draft(request: web.Request) -> web.Response:
    """Return what `ztfm policy test` says of a draft: its tests and examples, and which lines they ran."""
    caller = await authenticate_administrator(request)
    asked = await _asked(request, caller, PolicyDraft)
    return reply(await tried(request, request.app[SERVICES].workbench.test(asked, caller.id)))


async def evaluate_draft(request: web.Request) -> web.Response:
    """Return how a draft decides a recorded request, to those who may read that decision as anybody's."""
    caller = await authenticate_administrator(request)
    asked = await _asked(request, caller, EvaluateRequest)
    await administer(request, caller, "decision:read", "decision", asked.decision)
    services = request.app[SERVICES]
    record = await services.transparency.log.get(asked.decision)
    found = await tried(request, services.workbench.evaluate(asked, caller.id)) if record is not None else None
    if record is None or found is None:
        raise not_found("decision of a policy here")
    now, requirements, unsure = found.now, found.requirements, found.masked_and_read
    return reply(EvaluatedDraft(now=now, requirements=requirements, masked_and_read=unsure, recorded=record))


async def replay_draft(request: web.Request) -> web.Response:
    """Return what a draft would have decided lately, to those who may read all decisions: rules can tell any fact."""
    caller = await authenticate_administrator(request)
    asked = await _asked(request, caller, ReplayRequest)
    await administer(request, caller, "decision:list", "decision_log", LOG)
    services = request.app[SERVICES]
    return reply(await tried(request, services.workbench.replay(asked, caller.id, services.clock())))


async def bundle_draft(request: web.Request) -> web.Response:
    """Return a draft as one unsigned file, and what a signature has to be over; the same draft gives the same bytes."""
    caller = await authenticate_administrator(request)
    asked = await _asked(request, caller, PolicyDraft)
    return reply(await tried(request, request.app[SERVICES].workbench.bundle(asked, caller.id)))


async def release_draft(request: web.Request) -> web.Response:
    """Release a draft that somebody signed; it is verified, checked and tested as every other bundle is.

    The signature is over the draft as `/v1/workbench/bundle` built it: one that was built of others by now is refused.
    """
    caller = await authenticate_administrator(request)
    asked = await read_body(request, SignedDraft, MAX_BODY_BYTES)
    decision = await administer(request, caller, "policy:publish", "policy", asked.layer, layer=asked.layer)
    services = request.app[SERVICES]
    body = await tried(request, services.workbench.signed(asked, caller.id))
    release = await released(lambda: services.policies.publisher.publish(body, asked.layer, caller.id))
    _log.info("policy_published", sequence=release.sequence, by=caller.id, decision_id=decision.id)
    return reply(release, 201)


async def shadow_draft(request: web.Request) -> web.Response:
    """Let a draft of the base that somebody signed decide in the shadow, in the place of the candidate that does."""
    caller = await authenticate_administrator(request)
    asked = await read_body(request, ShadowedDraft, MAX_BODY_BYTES)
    decision = await administer(request, caller, "policy:shadow", "policy", SHADOW)
    services = request.app[SERVICES]
    body = await tried(request, services.workbench.signed(asked, caller.id))
    try:
        found = await services.policies.shadows.start(body, caller.id)
    except BundleRefused as refused:
        raise refusal(refused) from None
    _log.info("shadow_asked_for", shadow=found.shadow.id, decision_id=decision.id)
    return reply(found, 201)


async def _asked(request: web.Request, caller: Caller, model: type[Asked]) -> Asked:
    """Return what somebody who may try policies asks."""
    asked = await read_body(request, model, MAX_BODY_BYTES)
    await administer(request, caller, "policy:try", "policy", BENCH)
    return asked


_PROBLEMS = (400, 401, 403, 408, 409, 413, 415, 422, 429, 501, 503)


def _route(
    path: str,
    responder: Responder,
    summary: str,
    body: type[StrictModel],
    answer: type[StrictModel],
    *others: int,
    status: int = 200,
) -> Route:
    return Route(
        "POST",
        f"/v1/workbench/{path}",
        responder,
        summary,
        body=body,
        replies={status: answer},
        problems=tuple(sorted((*_PROBLEMS, *others))),
        proof=True,
        people=True,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/workbench/sources",
        show_sources,
        "The policies that are edited",
        replies={200: PolicySources},
        problems=(400, 401, 403, 422, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter("layer", "query", "Whose.", {"type": "string", "enum": list(LAYERS), "default": "base"}),
        ),
    ),
    _route("check", check_draft, "What is wrong with a draft of policies", CheckRequest, CheckedDraft),
    _route("test", test_draft, "Run a draft's tests, and see which lines they run", PolicyDraft, TestedDraft),
    _route("evaluate", evaluate_draft, "Decide a recorded request by a draft", EvaluateRequest, EvaluatedDraft, 404),
    _route("replay", replay_draft, "What a draft would have decided lately", ReplayRequest, ReplayedDraft),
    _route("bundle", bundle_draft, "Build a draft into one file to sign", PolicyDraft, DraftBundle),
    _route("releases", release_draft, "Release a draft that somebody signed", SignedDraft, Release, status=201),
    _route("shadow", shadow_draft, "Put a signed draft into the shadow", ShadowedDraft, ShadowReport, status=201),
)
