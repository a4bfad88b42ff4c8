"""Say to whom we ask which span of the user's own a request belongs to (W3C Trace Context).

This records nothing and needs nothing: where the program that uses the SDK traces itself with OpenTelemetry, its
requests carry the current span, and the control plane's part of the trace is found below it.
"""

import sys
from collections.abc import Mapping
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})


def trace_headers() -> Mapping[str, str]:
    """Return ``traceparent``, and ``tracestate`` where there is one; nothing where no span is current.

    Baggage stays here, whatever the user's own propagators would send: the control plane has no use for it.
    """
    # Who traces has loaded it; everybody else is not to load it for our sake.
    if "opentelemetry.trace" not in sys.modules:
        return _NOTHING
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers
