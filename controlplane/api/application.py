"""Assemble the edge: the routes, and one middleware that bounds, counts and explains."""

import re
import time
from itertools import chain

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from controlplane.api import (
    alerts,
    attachments,
    attestations,
    behaviour,
    budgets,
    capabilities,
    certificates,
    changes,
    decisions,
    devices,
    devices_changed,
    devices_listed,
    enrolment_tokens,
    evaluation,
    events,
    exceptions,
    explanation,
    gateway_decisions,
    health,
    holds,
    identifiers,
    identities,
    introspection,
    keys,
    models,
    oauth,
    openapi,
    policies,
    privacy,
    reference,
    rollbacks,
    rounds,
    rounds_found,
    rounds_judged,
    search,
    secrets,
    segments,
    shadow,
    signals,
    site,
    standing,
    statuslists,
    svids,
    transparency,
    wellknown,
    workbench,
)
from controlplane.api.authentication import challenge
from controlplane.api.console import pages, provider, signin
from controlplane.api.oauth_errors import OAuthError, in_oauth_form, is_oauth
from controlplane.api.problems import ProblemError, problem, unavailable
from controlplane.api.proving import offer_nonce
from controlplane.api.reading import MAX_BODY_BYTES
from controlplane.api.replies import reply
from controlplane.api.routing import Responder, Route
from controlplane.api.services import SERVICES
from controlplane.api.tracing import traced
from controlplane.audit import AuditUnavailable
from controlplane.capabilities.errors import NoSigningKey
from controlplane.decisions.responding import Contended
from controlplane.storage import StoreUnavailable
from controlplane.telemetry.tracing import Tracing

_UNKNOWN_ROUTE = "unmatched"
_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,1024}")
_log = structlog.get_logger("ztfm.api")

CONSOLE_ROUTES: tuple[Route, ...] = (*signin.ROUTES, *provider.ROUTES)
"""How one signs in to the console; without one they are not there."""

ROUTES: tuple[Route, ...] = tuple(
    chain(
        devices.ROUTES,
        devices_listed.ROUTES,
        standing.ROUTES,
        identities.ROUTES,
        attestations.ROUTES,
        behaviour.ROUTES,
        enrolment_tokens.ROUTES,
        certificates.ROUTES,
        svids.ROUTES,
        capabilities.ROUTES,
        rounds.ROUTES,
        rounds_found.ROUTES,
        rounds_judged.ROUTES,
        rollbacks.ROUTES,
        models.ROUTES,
        privacy.ROUTES,
        signals.ROUTES,
        budgets.ROUTES,
        gateway_decisions.ROUTES,
        site.ROUTES,
        decisions.ROUTES,
        explanation.ROUTES,
        transparency.ROUTES,
        evaluation.ROUTES,
        search.ROUTES,
        oauth.ROUTES,
        introspection.ROUTES,
        keys.ROUTES,
        secrets.ROUTES,
        attachments.ROUTES,
        segments.ROUTES,
        # Before the route that takes any word in its place.
        shadow.ROUTES,
        policies.ROUTES,
        workbench.ROUTES,
        exceptions.ROUTES,
        alerts.ROUTES,
        holds.ROUTES,
        events.ROUTES,
        changes.ROUTES,
        devices_changed.ROUTES,
        statuslists.ROUTES,
        identifiers.ROUTES,
        wellknown.ROUTES,
        CONSOLE_ROUTES,
        health.ROUTES,
    )
)


def build_edge(version: str, tracing: Tracing | None = None, *, console: bool = True) -> web.Application:
    """Return the application; its `SERVICES` are set by the composition root before it serves.

    Args:
        version: of the product.
        tracing: gives each request a span; none where traces are off.
        console: whether there is one.
    """
    middlewares: list[Middleware] = [edge] if tracing is None else [traced(tracing), edge]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    served = tuple(route for route in ROUTES if console or route not in CONSOLE_ROUTES)
    for route in served:
        app.router.add_route(route.method, route.pattern, route.responder)
    app.on_response_prepare.append(_harden)
    app.on_response_prepare.append(offer_nonce)
    if console:
        pages.add_pages(app)
    contract = openapi.document(served, version)
    app.router.add_get("/openapi.json", openapi.serve(contract))
    app.router.add_get("/docs", reference.serve(contract))
    return app


@web.middleware
async def edge(request: web.Request, handler: Responder) -> web.StreamResponse:
    """Turn every failure into a problem document, and count every request."""
    started = time.perf_counter()
    response: web.StreamResponse
    try:
        response = await handler(request)
    except ProblemError as error:
        response = _explain(request, error)
    except OAuthError as error:
        response = _explain_oauth(request, error)
    except web.HTTPException as error:
        response = _explain(request, _from_http(error))
    except (StoreUnavailable, AuditUnavailable) as error:
        _log.error("store_unavailable", route=_route(request), error=type(error).__name__)
        response = _explain(request, unavailable("The control plane's store cannot be used; nothing was granted."))
    except Contended as error:
        _log.error("contended", route=_route(request), error=str(error))
        response = _explain(request, unavailable("Others write about the same subjects; nothing of this was kept."))
    except NoSigningKey as error:
        _log.error("no_signing_key", route=_route(request), error=str(error))
        response = _explain(request, unavailable("No signing key is usable; nothing was granted."))
    except Exception:  # noqa: BLE001 - the last guard: logged, counted, and never an answer that grants
        _log.exception("unexpected_fault", route=_route(request))
        response = _explain(request, problem("internal", 500, "The control plane met an unexpected fault"))
    _count(request, response, time.perf_counter() - started)
    return response


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "ztfm"
    response.headers["X-Content-Type-Options"] = "nosniff"
    # AuthZEN 1.0: the caller's request id comes back.
    request_id = request.headers.get("X-Request-ID", "")
    if _REQUEST_ID.fullmatch(request_id):
        response.headers["X-Request-ID"] = request_id


def _explain(request: web.Request, error: ProblemError) -> web.Response:
    if is_oauth(request):
        return _explain_oauth(request, in_oauth_form(request, error))
    response = reply(error.problem, error.problem.status, media_type="application/problem+json")
    response.headers.update(error.headers)
    if error.cause:
        _log.info("refused", route=_route(request), status=error.problem.status, cause=error.cause)
    return response


def _explain_oauth(request: web.Request, error: OAuthError) -> web.Response:
    response = reply(error.document, error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = challenge(request.app[SERVICES].public_url)
    response.headers.update({"Pragma": "no-cache", **error.headers})
    _log.info("refused", route=_route(request), status=error.status, cause=error.cause or error.document.error)
    return response


def _from_http(error: web.HTTPException) -> ProblemError:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem("too-large", 413, "The body is too large", f"At most {MAX_BODY_BYTES} bytes are read.")
    headers = {"Allow": ", ".join(sorted(error.allowed_methods))} if isinstance(error, web.HTTPMethodNotAllowed) else {}
    if error.status == 404:
        return problem("not-found", 404, "There is no such route", "Compare the path with /openapi.json.")
    kind = "method-not-allowed" if headers else "http"
    remedy = "Use one of the methods that the header Allow names." if headers else ""
    return problem(kind, max(400, error.status), error.reason or "HTTP error", remedy, headers=headers)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _UNKNOWN_ROUTE


def _count(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    metrics = request.app[SERVICES].metrics
    route = _route(request)
    method = request.method if request.method in {"GET", "POST", "HEAD", "DELETE"} else "other"
    metrics.edge.requests.labels(route, method, str(response.status)).inc()
    if isinstance(response, web.Response):
        # A stream lasts as long as its listener likes.
        metrics.edge.duration.labels(route).observe(seconds)
