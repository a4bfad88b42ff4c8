"""``/v1/console/oidc``: people sign in with their identity provider, and come back."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import urlencode

import structlog
from aiohttp import web

from controlplane.api.console.beginning import begin, give, must_be_private, parts_of
from controlplane.api.console.cookies import SIGN_IN, drop, keep, shown
from controlplane.api.console.sessions import METHOD
from controlplane.api.problems import ProblemError, not_found, problem, too_many, unavailable
from controlplane.api.proving import base_url_of
from controlplane.api.reading import address_of, neighbourhood
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.capabilities.errors import SealError
from controlplane.identity.codeflow import MAX_CODE_CHARS, SIGN_IN_SECONDS, CodeFlow, SignIn
from controlplane.identity.people import Unknown
from controlplane.identity.provider import ProviderUnavailable

HOME = "/console/"

_SEALED_AS = "console-sign-in"
_WITHIN = re.compile(r"/console/(?:[A-Za-z0-9_~:@+-][A-Za-z0-9._~:@+-]*/?)*(?:\?[A-Za-z0-9._~:@+%=&,-]*)?")
"""Paths within the console, none of whose parts is empty or begins with a dot."""

MAX_RETURN_CHARS = 512
_log = structlog.get_logger("ztfm.console")


async def start_sign_in(request: web.Request) -> web.Response:
    """Send a browser to people's identity provider, and keep in a cookie what it must bring back."""
    flow = await _flow(request)
    must_be_private(request)
    leads_to = request.query.get("return", HOME)
    if len(leads_to) > MAX_RETURN_CHARS or not _WITHIN.fullmatch(leads_to):
        raise problem("invalid-request", 400, "A parameter does not fit", "`return` is a path within /console/.")
    try:
        address, begun = await flow.begin(leads_to, base_url_of(request))
    except ProviderUnavailable as error:
        _log.warning("provider_unavailable", error=str(error))
        raise unavailable("The identity provider cannot be asked now; sign in with a key, or try again.") from None
    response = _to(address)
    sealed = parts_of(request).sealer.seal(begun.packed(), _SEALED_AS)
    keep(request, response, SIGN_IN, urlsafe_b64encode(sealed).rstrip(b"=").decode(), SIGN_IN_SECONDS)
    return response


async def end_sign_in(request: web.Request) -> web.Response:
    """Take back whoever comes from the provider: signed in, or with what went wrong in the address of the page."""
    flow = await _flow(request)
    must_be_private(request)
    authentications = request.app[SERVICES].metrics.edge.authentications
    response = await _ended(request, flow)
    is_refused = "refused=" in response.headers["Location"]
    authentications.labels(METHOD, "refused" if is_refused else "ok").inc()
    drop(request, response, SIGN_IN)
    return response


async def _ended(request: web.Request, flow: CodeFlow) -> web.Response:
    begun = _begun(request)
    given = {name: request.query.getall(name, []) for name in ("state", "code", "error", "iss")}
    if begun is None or len(given["state"]) != 1 or not flow.is_open(begun, given["state"][0]):
        return _refused("stale", "sign_in_unknown")
    if given["error"]:
        return _refused("provider", "provider_refused")
    if given["iss"] not in ([], [flow.issuer]) or len(given["code"]) != 1 or len(given["code"][0]) > MAX_CODE_CHARS:
        return _refused("provider", "answer_malformed")
    try:
        person = await flow.end(begun, given["code"][0])
    except ProviderUnavailable as error:
        return _refused("unavailable", str(error))
    if isinstance(person, Unknown):
        request.app[SERVICES].metrics.capabilities.refused(person.cause)
        return _refused("provider", person.cause)
    try:
        session = await begin(request, person, begun.digest)
    except ProblemError as error:
        what = {403: "denied", 401: "stale"}.get(error.problem.status, "unavailable")
        return _refused(what, error.cause or what, error.problem.decision_id)
    if session is None:
        return _refused("stale", "sign_in_used")
    response = _to(begun.leads_to)
    give(request, response, session)
    return response


def _begun(request: web.Request) -> SignIn | None:
    values = shown(request, SIGN_IN)
    if len(values) != 1 or not re.fullmatch(r"[A-Za-z0-9_-]+", values[0]):
        return None
    try:
        sealed = urlsafe_b64decode(values[0] + "=" * (-len(values[0]) % 4))
        return SignIn.unpacked(parts_of(request).sealer.open(sealed, _SEALED_AS))
    except (SealError, binascii.Error):
        return None


async def _flow(request: web.Request) -> CodeFlow:
    flow, services = parts_of(request).provider, request.app[SERVICES]
    if flow is None:
        raise not_found("identity provider to sign in with")
    wait = await services.limits.strangers.take(neighbourhood(address_of(request)))
    if wait:
        raise too_many(wait)
    return flow


def _refused(what: str, cause: str, decision: str | None = None) -> web.Response:
    _log.info("sign_in_refused", what=what, cause=cause)
    told = {"refused": what, **({} if decision is None else {"decision": decision})}
    return _to(f"{HOME}?{urlencode(told)}")


def _to(address: str) -> web.Response:
    headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, headers=headers)


ROUTES = (
    Route(
        "GET",
        "/v1/console/oidc/start",
        start_sign_in,
        "Begin to sign in to the console with the identity provider",
        replies={303: None},
        problems=(400, 404, 409, 429, 503),
        media_type="",
        parameters=(Parameter("return", "query", "Path within /console/ at which it goes on."),),
    ),
    Route(
        "GET",
        "/v1/console/oidc/callback",
        end_sign_in,
        "Come back from the identity provider",
        replies={303: None},
        problems=(404, 409, 429),
        media_type="",
        parameters=(
            Parameter("state", "query", "What was sent to the provider."),
            Parameter("code", "query", "That the provider gave for it."),
            Parameter("error", "query", "Why it gave none."),
            Parameter("iss", "query", "The provider (RFC 9207)."),
        ),
    ),
)
