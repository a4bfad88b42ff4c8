"""Open the span of each request, where traces are wanted."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from controlplane.telemetry.tracing import Tracing, read_parent

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

UNTRACED_ROUTES = frozenset({"/livez", "/readyz", "/metrics", "/v1/events"})
"""What is asked every few seconds and says nothing, and a stream that lasts as long as its listener likes."""


def traced(tracing: Tracing) -> Middleware:
    """Return a middleware that gives each request a span, as part of the trace that its caller names.

    The span says the route and not the path, which may name a device.
    """

    @web.middleware
    async def _traced(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = "" if resource is None else resource.canonical
        if route in UNTRACED_ROUTES:
            return await handler(request)
        headers = request.headers
        parent = read_parent(headers.getall("traceparent", []), headers.getall("tracestate", []))
        method = request.method if request.method in METHODS else "_OTHER"
        said = {"http.request.method": method, "http.route": route} if route else {"http.request.method": method}
        with tracing.request(f"{method} {route}".rstrip(), parent, said) as span:
            response = await handler(request)
            if span.is_recorded:
                span.note({"http.response.status_code": response.status})
                if response.status >= 500:
                    span.failed(str(response.status))
        return response

    return _traced
