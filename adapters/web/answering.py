"""What an enforcement point answers a request that it does not let through (RFC 9110, RFC 9449, RFC 9457)."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

MEDIA_TYPE = "application/problem+json"

_ALGS = 'algs="ES256"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in place of the application's. It tells a caller no more than it may know.

    Attributes:
        status: HTTP status.
        kind: last part of the problem's type URI, ``urn:ztfm:problem:``.
        title: the kind, in words.
        detail: what to do.
        cause: why exactly, for logs and counters; a word of a closed vocabulary, never shown.
        headers: beside the content type.
    """

    status: int
    kind: str
    title: str
    detail: str
    cause: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The problem document."""
        document = {
            "type": f"urn:ztfm:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return json.dumps(document).encode()

    def all_headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        return {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **self.headers}


def unauthenticated(
    cause: str, error: str | None, *, takes_certificates: bool, audience: str, method: str, url: str
) -> Refusal:
    """401: who are you? Without ``error`` for a request that shows nothing (RFC 6750 section 3.1).

    What callers read is the same whatever the cause is; what it says is public: how the endpoint is called.

    Args:
        cause: why exactly.
        error: of the challenge.
        takes_certificates: capabilities that are bound to a certificate are taken too.
        audience: the endpoint's name.
        method: of the request.
        url: under which its proof must have been made.
    """
    return Refusal(
        401,
        "unauthenticated",
        "The request does not prove who sends it",
        f"Send a capability for the audience {audience} (Authorization: DPoP) with a fresh proof of its key (DPoP), "
        f"made once, for {method} {url}, by a clock that agrees with the header Date.",
        cause,
        {"WWW-Authenticate": _challenge(error, takes_certificates)},
    )


def ambiguous(cause: str, *, takes_certificates: bool) -> Refusal:
    """400: more than one credential, or one that cannot be read (RFC 6750 section 3.1, ``invalid_request``)."""
    return Refusal(
        400,
        "invalid-request",
        "The request does not fit its contract",
        "Send one Authorization header with one token, and one DPoP header.",
        cause,
        {"WWW-Authenticate": _challenge("invalid_request", takes_certificates)},
    )


def forbidden(cause: str, detail: str, *, takes_certificates: bool) -> Refusal:
    """403: the capability and its proof hold, and do not reach this far (RFC 6750 section 3.1)."""
    headers = {"WWW-Authenticate": _challenge("insufficient_scope", takes_certificates)}
    return Refusal(403, "denied", "Policy denies this request", detail, cause, headers)


def used_up() -> Refusal:
    """409: a capability for one use, used once more."""
    title, detail = "The request conflicts with what is already there", "The capability was used; ask for a new one."
    return Refusal(409, "conflict", title, detail, "replayed")


def crooked() -> Refusal:
    """400: a path that could be read in more ways than one."""
    return Refusal(
        400,
        "invalid-request",
        "The request does not fit its contract",
        "Send the path in its plain spelling: no dot segments, no empty ones, no needless escapes.",
        "path",
    )


def unknown() -> Refusal:
    """404: no rule is for this path, so nothing could be let through to it."""
    return Refusal(
        404, "not-found", "There is no such thing", "No rule of this endpoint is for this path: compare it.", "no_rule"
    )


def wrong_method(allowed: Collection[str]) -> Refusal:
    """405."""
    headers = {"Allow": ", ".join(sorted(allowed))}
    detail = "Use one of the methods that the header Allow names."
    return Refusal(405, "method-not-allowed", "The route does not know this method", detail, "no_rule", headers)


def unsized() -> Refusal:
    """411: a body that does not say how large it is."""
    return Refusal(411, "http", "The request cannot be served", "Say how large the body is: Content-Length.", "body")


def too_large(limit: int) -> Refusal:
    """413: a body that is larger than this endpoint takes."""
    return Refusal(413, "too-large", "The body is too large", f"At most {limit} bytes are taken.", "body")


def unavailable(cause: str) -> Refusal:
    """503: nothing can be verified now; nothing is let through."""
    return Refusal(
        503,
        "unavailable",
        "No decision can be given now",
        "The enforcement point waits for its control plane.",
        cause,
        {"Retry-After": "1"},
    )


def _challenge(error: str | None, takes_certificates: bool) -> str:
    parts = [_ALGS] if error is None else [f'error="{error}"', _ALGS]
    challenge = f"DPoP {', '.join(parts)}"
    return f"{challenge}, Bearer" if takes_certificates else challenge
