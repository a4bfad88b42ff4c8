"""A session begins: policy lets somebody in, and says for how long."""

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.console.cookies import SESSION, is_private, keep, shown
from controlplane.api.problems import ProblemError, not_found, problem
from controlplane.api.proving import base_url_of
from controlplane.api.services import SERVICES
from controlplane.api.services.console import ConsoleParts
from controlplane.contracts.console import ConsoleSession, KeptSession
from controlplane.contracts.identity import Caller
from controlplane.identity.sessions import Begun

CONSOLE = "console"
"""What is signed in to, where policy is asked."""

SESSION_SECONDS = 3600.0
IDLE_SECONDS = 900.0
"""Where policy lets somebody in and says nothing of how long."""

MAX_NAME = 256


def parts_of(request: web.Request) -> ConsoleParts:
    """Return what signs people in.

    Raises:
        ProblemError: 404 where there is no console.
    """
    parts = request.app[SERVICES].console
    if parts is None:
        raise not_found("console")
    return parts


def must_be_private(request: web.Request) -> None:
    """Let nobody sign in over a network that can be listened to.

    Raises:
        ProblemError: 409.
    """
    if not is_private(request):
        raise problem(
            "conflict",
            409,
            "Nobody signs in over plain HTTP, but on this machine itself",
            f"The console is reached at {base_url_of(request)}: serve it over TLS, and set ZTFM_PUBLIC_URL to https://.",
        )


async def begin(request: web.Request, caller: Caller, sign_in: str | None = None) -> Begun | None:
    """Return a session of whoever just said who they are, if policy lets them in; none where its sign-in has begun one.

    The session that their browser had ends.

    Raises:
        ProblemError: 403 where policy denies it, 503 where it cannot be asked.
        StoreUnavailable: the store failed; nobody is signed in.
    """
    sessions, counted = parts_of(request).sessions, request.app[SERVICES].metrics.console.sessions
    try:
        decision = await administer(request, caller, "console:sign_in", "console", CONSOLE)
    except ProblemError:
        counted.labels("refused").inc()
        raise
    lasts = decision.obligations.lifetime_seconds or SESSION_SECONDS
    begun = await sessions.begin(caller, lasts, decision.obligations.idle_seconds or IDLE_SECONDS, sign_in)
    if begun is None:
        return None
    for secret in shown(request, SESSION):
        if await sessions.end(secret):
            counted.labels("displaced").inc()
    counted.labels("begun").inc()
    counted.labels("displaced").inc(begun.displaced)
    return begun


def give(request: web.Request, response: web.StreamResponse, begun: Begun) -> None:
    """Have the browser keep the session."""
    keep(request, response, SESSION, begun.secret, begun.session.ends_at - begun.session.begun_at)


def told(session: KeptSession, caller: Caller) -> ConsoleSession:
    """Return what is told of a session to whoever is signed in."""
    if session.person is None:
        name = ", ".join(getattr(caller, "roles", ())) or session.subject
        return ConsoleSession(subject=session.subject, kind="device", name=name, expires_at=session.ends_at)
    name = session.person.claims["sub"][0][:MAX_NAME]
    return ConsoleSession(subject=session.subject, kind="person", name=name, expires_at=session.ends_at)
