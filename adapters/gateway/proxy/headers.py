"""Which headers go on to the upstream and back: those that are named here, and no others (RFC 9110 section 7.6)."""

import re
from collections.abc import Collection, Mapping

from adapters.gateway.passing import told
from adapters.web.admission import Admitted

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_UP = frozenset({"accept", "accept-language", "content-type", "traceparent", "tracestate", "x-request-id"})
_DOWN = frozenset(
    {
        "content-type",
        "content-language",
        "retry-after",
        "x-request-id",
        "openai-model",
        "openai-processing-ms",
        "openai-version",
    }
)

_NEVER_BEGIN = ("ztfm-", "x-ztfm-", "x-forwarded-", "proxy-", "sec-")
NEVER = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "dpop",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "www-authenticate",
    }
)
"""Neither way, whatever is configured: they are of one connection, or of whoever sent them."""


def passable(names: Collection[str]) -> frozenset[str]:
    """Return names of headers that may be passed on besides, in lower case.

    Raises:
        ValueError: one is never passed on, or is none.
    """
    found = frozenset(name.lower() for name in names)
    poor = sorted(name for name in found if name in NEVER or name.startswith(_NEVER_BEGIN) or not _NAME.fullmatch(name))
    if poor:
        raise ValueError(f"these headers are never passed on: {', '.join(poor)}")
    return found


def upward(
    headers: Mapping[str, str], admitted: Admitted, passed: Collection[str] = (), own: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what the upstream is sent: nothing that was not named, and who asks in our words.

    Args:
        headers: of the request. Of a header that came twice, the first counts.
        admitted: who asks.
        passed: names besides (`passable`).
        own: headers of ours, such as the key that the upstream wants.
    """
    kept = _first(headers, _UP.union(passed))
    return {**kept, **told(admitted), "accept-encoding": "identity", **(own or {})}


def downward(headers: Mapping[str, str], passed: Collection[str] = ()) -> dict[str, str]:
    """Return what the client is sent of an answer's headers."""
    kept = _first(headers, _DOWN.union(passed))
    return {**kept, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def media_type(value: str | None) -> str:
    """Return a media type in lower case without its parameters; empty for none."""
    return (value or "").partition(";")[0].strip().lower()


def _first(headers: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() in names:
            found.setdefault(name.lower(), value)
    return found
