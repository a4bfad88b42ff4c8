"""``/v1/policies``: what decides, what is to, and the way to publish and to go back."""

import re
from collections.abc import Awaitable, Callable
from typing import get_args

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import ProblemError, not_found, problem, unavailable
from controlplane.api.reading import read_body, read_bytes
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.bundles import BundleRefused
from controlplane.bundles.archive import MAX_PACKED_BYTES
from controlplane.contracts.policies import LAYERS, PolicyLayer, PolicyStanding, Release, Releases, RollbackRequest
from controlplane.releases.errors import NoSuchRelease, ReleaseConflict
from controlplane.storage.releases import KEPT

ALL = "policies"
"""The name of all layers together, where policy decides about no single one."""

MEDIA_TYPE = "application/gzip"
BUNDLE_SECONDS = 60.0
DEFAULT_LIMIT = 20

_LIMIT = re.compile(r"[1-9][0-9]{0,2}")
_SEQUENCE = re.compile(r"[1-9][0-9]{0,9}")
_log = structlog.get_logger("ztfm.policies")


async def show_policies(request: web.Request) -> web.Response:
    """Return by which revision this process decides, what is released for each layer, and what was refused last."""
    caller = await authenticate_administrator(request)
    await administer(request, caller, "policy:read", "policy", ALL)
    services = request.app[SERVICES]
    state = await services.readiness()
    return reply(services.policies.standing(state.policy_revision))


async def list_releases(request: web.Request) -> web.Response:
    """Return the releases that are kept, newest first; the newest of a layer is the one that is to decide."""
    caller = await authenticate_administrator(request)
    await administer(request, caller, "policy:read", "policy", ALL)
    layers, limit = _asked(request)
    return reply(Releases(releases=await request.app[SERVICES].policies.releases.recent(layers, limit)))


async def show_bundle(request: web.Request) -> web.Response:
    """Return the signed bundle of a release as it was published, for other sites and for people.

    Whoever uses it verifies its signature.
    """
    caller = await authenticate_administrator(request)
    await administer(request, caller, "policy:read", "policy", ALL)
    releases = request.app[SERVICES].policies.releases
    asked = request.match_info["sequence"]
    release = await releases.get(int(asked)) if _SEQUENCE.fullmatch(asked) and int(asked) < 2**31 else None
    body = await releases.body(release.digest) if release is not None else None
    if body is None:
        raise not_found("release")
    return web.Response(body=body, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def publish_policies(request: web.Request) -> web.Response:
    """Release a signed bundle for a layer; it decides within two seconds, at every replica.

    It is verified, built again from the source that it brings, checked and tested before; that takes seconds. One that
    is refused changes nothing, and the answer says why. What is current already is not released again.
    """
    caller = await authenticate_administrator(request)
    [layer] = [layer for layer in LAYERS if layer == request.match_info["layer"]]
    # Before the body, which may be large, is taken; and after it, for it may have taken a while.
    await administer(request, caller, "policy:publish", "policy", layer, layer=layer)
    body = await read_bytes(request, MEDIA_TYPE, MAX_PACKED_BYTES, BUNDLE_SECONDS)
    decision = await administer(request, caller, "policy:publish", "policy", layer, layer=layer)
    services = request.app[SERVICES]
    release = await released(lambda: services.policies.publisher.publish(body, layer, caller.id))
    _log.info("policy_published", sequence=release.sequence, by=caller.id, decision_id=decision.id)
    return reply(release, 201)


async def roll_back(request: web.Request) -> web.Response:
    """Release again what decided before, or the revision that is named.

    Without a name it goes back as undo does: what was gone back from is not come back to by going on.
    """
    caller = await authenticate_administrator(request)
    asked = await read_body(request, RollbackRequest)
    # Before a kept answer is looked for: only who may still go back is told again where it led.
    decision = await administer(request, caller, "policy:rollback", "policy", asked.layer, layer=asked.layer)
    services = request.app[SERVICES]

    async def _carry_out() -> web.Response:
        release = await released(lambda: services.policies.publisher.rollback(asked.layer, asked.revision, caller.id))
        _log.info("policy_rolled_back", sequence=release.sequence, by=caller.id, decision_id=decision.id)
        return reply(release)

    return await services.repeats.once(request, caller.id, _carry_out)


async def released(work: Callable[[], Awaitable[Release]]) -> Release:
    """Return the release that work leads to.

    Raises:
        ProblemError: 404, 422 or 503: there is none.
    """
    try:
        return await work()
    except BundleRefused as refused:
        raise problem("policy-refused", 422, refused.reason, refused.detail[:1024], cause=refused.reason) from None
    except NoSuchRelease as none:
        raise problem("not-found", 404, "There is no such release", str(none)) from None
    except ReleaseConflict as conflict:
        raise unavailable(str(conflict)) from None


def _asked(request: web.Request) -> tuple[tuple[PolicyLayer, ...], int]:
    given = request.query
    if len(set(given)) != len(given) or set(given) - {"layer", "limit"}:
        raise _unfit("`layer` and `limit` may be given, once each.")
    layers = tuple(layer for layer in LAYERS if given.get("layer") in (None, layer))
    if not layers:
        raise _unfit(f"`layer` is one of {', '.join(get_args(PolicyLayer))}.")
    limit = given.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or int(limit) > KEPT * len(LAYERS):
        raise _unfit(f"`limit` is a number from 1 to {KEPT * len(LAYERS)}.")
    return layers, int(limit)


def _unfit(detail: str) -> ProblemError:
    return problem("invalid-request", 400, "The query does not fit", detail)


ROUTES = (
    Route(
        "GET",
        "/v1/policies",
        show_policies,
        "Which policies decide, and which are to",
        replies={200: PolicyStanding},
        problems=(401, 403, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/policies/releases",
        list_releases,
        "Releases, newest first",
        replies={200: Releases},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter("layer", "query", "Of this layer alone.", {"type": "string", "enum": list(LAYERS)}),
            Parameter(
                "limit",
                "query",
                "How many at most.",
                {"type": "integer", "minimum": 1, "maximum": KEPT * len(LAYERS), "default": DEFAULT_LIMIT},
            ),
        ),
    ),
    Route(
        "GET",
        "/v1/policies/releases/{sequence}/bundle",
        show_bundle,
        "The signed bundle of a release",
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
        media_type=MEDIA_TYPE,
    ),
    Route(
        "POST",
        "/v1/policies/rollback",
        roll_back,
        "Go back to what decided before",
        body=RollbackRequest,
        replies={200: Release},
        problems=(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/policies/{layer}",
        publish_policies,
        "Publish a signed bundle of policies",
        choices={"layer": LAYERS},
        body_type=MEDIA_TYPE,
        replies={201: Release},
        problems=(401, 403, 404, 408, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
    ),
)
