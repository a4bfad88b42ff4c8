"""A session as a way to say who one is: a cookie of our own page, and nothing beside it."""

from aiohttp import web

from controlplane.api.authentication import Unproven, scheme_of, stranger
from controlplane.api.console.cookies import SESSION, is_private, shown
from controlplane.api.problems import too_many
from controlplane.api.proving import base_url_of
from controlplane.api.services import SERVICES
from controlplane.contracts.console import KeptSession
from controlplane.contracts.identity import Caller

HEADER = "X-ZTFM-Console"
"""What our page says with each request. Another site's page cannot, unless we let it ask (CORS), which we do not."""

METHOD = "session"
"""Its name in metrics."""

_SAFE = frozenset({"GET", "HEAD"})

_SESSION: web.RequestKey[KeptSession] = web.RequestKey("session", KeptSession)


def is_presented(request: web.Request) -> bool:
    """Whether the request shows a session's cookie; nothing is verified."""
    return request.app[SERVICES].console is not None and bool(shown(request, SESSION))


async def authenticate_session(request: web.Request) -> Caller:
    """Return who is signed in: a person as their provider spoke of them, or a device as the registry has it now.

    Raises:
        ProblemError: 401 where nobody is, or another page than ours asks, or something else says who asks as well; 429
            for one who asks too often, or a stranger who insists.
        StoreUnavailable: the store failed.
    """
    services = request.app[SERVICES]
    found = await _find(request)
    services.metrics.edge.authentications.labels(METHOD, "refused" if isinstance(found, Unproven) else "ok").inc()
    if isinstance(found, Unproven):
        raise await stranger(request, found)
    wait = await services.limits.callers.take(found.id)
    if wait:
        raise too_many(wait)
    return found


def session_of(request: web.Request) -> KeptSession:
    """Return the session by which `authenticate_session` knew who asks."""
    return request[_SESSION]


async def _find(request: web.Request) -> Caller | Unproven:
    # A certificate of the connection counts where nothing else is shown.
    if scheme_of(request) or "DPoP" in request.headers:
        return Unproven("two_credentials")
    if not is_private(request) or not _is_ours(request):
        return Unproven("session_foreign")
    values = shown(request, SESSION)
    return Unproven("session_unknown") if len(values) != 1 else await _holder(request, values[0])


async def _holder(request: web.Request, secret: str) -> Caller | Unproven:
    services = request.app[SERVICES]
    if services.console is None:
        return Unproven("session_unknown")
    session = await services.console.sessions.find(secret)
    if session is None:
        return Unproven("session_unknown")
    request[_SESSION] = session
    if session.person is not None:
        return session.person
    device = await services.registry.get(session.subject)
    if device is None or device.key_thumbprint != session.key_thumbprint or device.status != "active":
        # For good: whoever is let back signs in again.
        await services.console.sessions.end(secret)
        return Unproven("session_ended")
    return device


def _is_ours(request: web.Request) -> bool:
    """Whether our own page asks, as far as browsers say (Fetch Metadata, RFC 6454), and it said so itself."""
    origin, site = request.headers.getall("Origin", []), request.headers.getall("Sec-Fetch-Site", [])
    if any(one != base_url_of(request) for one in origin):
        return False
    if request.method in _SAFE:
        # Somebody may have typed the address.
        return all(one in ("same-origin", "none") for one in site)
    return all(one == "same-origin" for one in site) and request.headers.getall(HEADER, []) == ["1"]
