"""``/v1/policies/shadow``: a candidate that decides beside the live policy, without effect."""

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.policies import BUNDLE_SECONDS, MEDIA_TYPE
from controlplane.api.problems import not_found, problem
from controlplane.api.reading import read_bytes
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.bundles import BundleRefused
from controlplane.bundles.archive import MAX_PACKED_BYTES
from controlplane.contracts.shadow import ShadowReport

SHADOW = "shadow"
"""What is decided about: there is one place for a candidate."""

_log = structlog.get_logger("ztfm.policies")


async def show_shadow(request: web.Request) -> web.Response:
    """Return what the newest candidate would change, counted over all replicas, whether it still decides or not.

    The samples are ids of live decisions.
    """
    caller = await authenticate_administrator(request)
    await administer(request, caller, "policy:read", "policy", SHADOW)
    found = await request.app[SERVICES].policies.shadows.report()
    if found is None:
        raise not_found("candidate")
    return reply(found)


async def start_shadow(request: web.Request) -> web.Response:
    """Let a signed bundle for the base decide in the shadow, in the place of the one that does.

    It is verified and checked as a release is, which takes seconds. Soon after, every replica has it decide beside the
    live policy; nothing that it decides has an effect.
    """
    caller = await authenticate_administrator(request)
    # Before the body, which may be large, is taken; and after it, for it may have taken a while.
    await administer(request, caller, "policy:shadow", "policy", SHADOW)
    body = await read_bytes(request, MEDIA_TYPE, MAX_PACKED_BYTES, BUNDLE_SECONDS)
    decision = await administer(request, caller, "policy:shadow", "policy", SHADOW)
    try:
        found = await request.app[SERVICES].policies.shadows.start(body, caller.id)
    except BundleRefused as refused:
        raise problem("policy-refused", 422, refused.reason, refused.detail, cause=refused.reason) from None
    _log.info("shadow_asked_for", shadow=found.shadow.id, decision_id=decision.id)
    return reply(found, 201)


async def stop_shadow(request: web.Request) -> web.Response:
    """Take the candidate out of the shadow and return what it would have changed.

    What the replicas counted in the last second may still be added.
    """
    caller = await authenticate_administrator(request)
    await administer(request, caller, "policy:shadow", "policy", SHADOW)
    found = await request.app[SERVICES].policies.shadows.stop(caller.id)
    if found is None:
        raise not_found("candidate")
    return reply(found)


ROUTES = (
    Route(
        "GET",
        "/v1/policies/shadow",
        show_shadow,
        "What the candidate in the shadow would change",
        replies={200: ShadowReport},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/v1/policies/shadow",
        start_shadow,
        "Put a candidate into the shadow",
        body_type=MEDIA_TYPE,
        replies={201: ShadowReport},
        problems=(401, 403, 408, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "DELETE",
        "/v1/policies/shadow",
        stop_shadow,
        "Take the candidate out of the shadow",
        replies={200: ShadowReport},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
)
