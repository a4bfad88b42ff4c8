"""``/v1/console``: how one signs in with an enrolled key, who is signed in, and how one signs out."""

import asyncio

from aiohttp import web

from controlplane.api.authentication import authenticate, challenge
from controlplane.api.console.beginning import begin, give, must_be_private, parts_of, told
from controlplane.api.console.cookies import SESSION, drop, dropped, shown
from controlplane.api.console.sessions import authenticate_session, is_presented, session_of
from controlplane.api.problems import ProblemError, too_many, unauthenticated
from controlplane.api.proving import base_url_of
from controlplane.api.reading import address_of, neighbourhood
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.console import ConsoleSession, SignInMeans
from controlplane.contracts.identity import Caller

_GONE = frozenset({"session_unknown", "session_ended"})


async def sign_in_means(request: web.Request) -> web.Response:
    """Say how one may sign in here."""
    parts, access = parts_of(request), request.app[SERVICES].access
    offered = await asyncio.to_thread(access.is_bootstrapping)
    provider = None if parts.provider is None else parts.provider.issuer
    return reply(SignInMeans(url=base_url_of(request), provider=provider, bootstrap=offered))


async def begin_session(request: web.Request) -> web.Response:
    """Sign in with an enrolled key: one proof, if policy allows it, and from then on a cookie that no script reads."""
    parts_of(request)
    device = await authenticate(request)
    must_be_private(request)
    begun = await begin(request, device)
    if begun is None:
        raise AssertionError("only a sign-in with a provider counts once")
    response = reply(told(begun.session, device), 201)
    give(request, response, begun)
    return response


async def current_session(request: web.Request) -> web.Response:
    """Say who is signed in."""
    parts_of(request)
    try:
        caller = await _signed_in(request)
    except ProblemError as error:
        if error.cause in _GONE and shown(request, SESSION):
            error.headers["Set-Cookie"] = dropped(request, SESSION)
        raise
    return reply(told(session_of(request), caller))


async def end_session(request: web.Request) -> web.Response:
    """Sign out: the session is nobody's from then on, on every replica."""
    parts = parts_of(request)
    await _signed_in(request)
    if await parts.sessions.end(shown(request, SESSION)[0]):
        request.app[SERVICES].metrics.console.sessions.labels("ended").inc()
    response = web.Response(status=204, headers={"Cache-Control": "no-store"})
    drop(request, response, SESSION)
    return response


async def _signed_in(request: web.Request) -> Caller:
    if is_presented(request):
        return await authenticate_session(request)
    # No failure to count: so every page begins that nobody is signed in to.
    services = request.app[SERVICES]
    wait = await services.limits.strangers.take(neighbourhood(address_of(request)))
    raise too_many(wait) if wait else unauthenticated("session_missing", challenge(services.public_url))


ROUTES = (
    Route(
        "GET",
        "/v1/console/sign-in",
        sign_in_means,
        "Say how one may sign in to the console",
        replies={200: SignInMeans},
        problems=(404,),
    ),
    Route(
        "POST",
        "/v1/console/session",
        begin_session,
        "Sign in to the console with an enrolled key",
        replies={201: ConsoleSession},
        problems=(401, 403, 404, 409, 429, 503),
        proof=True,
    ),
    Route(
        "GET",
        "/v1/console/session",
        current_session,
        "Say who is signed in to the console",
        replies={200: ConsoleSession},
        problems=(401, 404, 429, 503),
        scheme="session",
    ),
    Route(
        "DELETE",
        "/v1/console/session",
        end_session,
        "Sign out of the console",
        replies={204: None},
        problems=(401, 404, 429, 503),
        scheme="session",
        media_type="",
    ),
)
