"""Read the original request out of a proxy's question. Nothing that is missing, doubled or odd passes for a request."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from adapters.gateway.authorizing import Answer
from adapters.gateway.dialects.certificates import Certified
from adapters.web.answering import Refusal, ambiguous, crooked
from adapters.web.presented import Asked

BODY_HEADER: Final = "x-original-body"
"""Bears ``<Content-Length>/<Transfer-Encoding>`` of the original request, each empty or ``-`` where it has none. One
header for both, so that it is there for every request, and its absence shows a proxy that was not set up."""

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_BODY = re.compile(r"(-|[0-9]{0,18})/([^/]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_SHOWN = ("authorization", "dpop")


class SubRequest(NamedTuple):
    """A question as it came from the proxy.

    Attributes:
        method: of the question.
        target: its path and query, undecoded, behind the path that questions go to.
        headers: values by name in lower case, in order.
    """

    method: str
    target: str
    headers: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Dialect:
    """How one kind of proxy asks.

    Attributes:
        name: of the proxy, as the command takes it.
        original: the original method and target; a refusal for what cannot be one.
        certified: the client certificate that the proxy saw, where it terminates TLS and says so; none for one that
            never does.
        states_body: the proxy says how large bodies are. For one that does not, and sends none along, a bound is
            assumed.
        answered: what the proxy can pass on of an answer.
    """

    name: str
    original: Callable[[SubRequest], tuple[str, str] | Refusal]
    certified: Callable[[Mapping[str, Sequence[str]]], Certified | None] | None
    states_body: bool = True
    answered: Callable[[Answer], Answer] = lambda answer: answer

    def asked(
        self, sub: SubRequest, now: float, *, takes_certificates: bool, largest_body: int | None = None
    ) -> Asked | Refusal:
        """Return the original request, or why there is none.

        Args:
            sub: the question.
            now: Unix seconds; a certificate that has expired is none.
            takes_certificates: the proxy terminates TLS and overwrites the header with the client's certificate.
                Without it, no header is looked at.
            largest_body: assumed of each request where the proxy does not say how large bodies are, and refuses larger
                ones.
        """
        found = self.original(sub)
        if isinstance(found, Refusal):
            return found
        method, target = found
        if not _METHOD.fullmatch(method) or not target.startswith("/") or "#" in target:
            return crooked()
        headers = self._body(sub, method, largest_body)
        if isinstance(headers, Refusal):
            return headers
        for name in _SHOWN:
            if name in sub.headers:
                headers[name] = sub.headers[name]
        seen = self.certified(sub.headers) if takes_certificates and self.certified is not None else None
        certificate = seen.thumbprint if seen is not None and seen.expires_at > now else None
        path, _, query = target.partition("?")
        return Asked(method, path, headers, certificate, len(query))

    def _assumed(self, sub: SubRequest, largest_body: int | None) -> dict[str, Sequence[str]] | Refusal:
        if largest_body is None:
            return misread("the option for the largest body")
        # A body that came along with the question is as large as it says, for the question ends where it does.
        came = sub.headers.get("content-length", ())
        return _sized(came[0] if len(came) == 1 and _LENGTH.fullmatch(came[0]) else str(largest_body))

    def _body(self, sub: SubRequest, method: str, largest_body: int | None) -> dict[str, Sequence[str]] | Refusal:
        if not self.states_body:
            return self._assumed(sub, largest_body)
        stated = only(sub.headers, BODY_HEADER)
        if isinstance(stated, Refusal):
            return stated
        match = _BODY.fullmatch(stated)
        if match is None:
            return ambiguous("body", takes_certificates=False)
        length, coding = match[1].replace("-", ""), match[2].replace("-", "")
        if coding or (not length and method not in _BODILESS):
            # Over HTTP/2 and 3 a body may come without either; those methods have to say that there is none.
            return {"transfer-encoding": (coding or "unknown",)}
        return _sized(length) if length else {}


def _sized(length: str) -> dict[str, Sequence[str]]:
    return {"content-length": (length,)}


def only(headers: Mapping[str, Sequence[str]], name: str) -> str | Refusal:
    """Return the one value of a header that the proxy sets; a refusal where it has none or several."""
    values = headers.get(name, ())
    if not values:
        return misread(name)
    return values[0] if len(values) == 1 else ambiguous("doubled", takes_certificates=False)


def misread(name: str) -> Refusal:
    """503: the proxy does not say what it has to; nothing is let through until it is set up."""
    return Refusal(
        503,
        "unavailable",
        "No decision can be given now",
        f"The gateway is not set up: {name} is missing. Compare its configuration with the example for this proxy.",
        "not_set_up",
        {"Retry-After": "60"},
    )
