"""A call with whoever proved it, and what is read of requests and answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from adapters.flower.proxy import refusing
from adapters.flower.proxy.bindings import Bindings
from adapters.flower.proxy.fleet import Call, DecodeError
from adapters.flower.proxy.headers import passed_on
from adapters.flower.proxy.refusing import Refused
from adapters.flower.proxy.upstream import Answer
from controlplane.capabilities.proof import Proof

SLACK_BYTES = 1024
"""Of an answer, beside the object in it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever proved a request.

    Attributes:
        subject: its name.
        proof: of the request.
        capability: that came along; none without one.
        digest: of the body, as the proof has it.
        headers: of the request that Flower reads.
    """

    subject: str
    proof: Proof
    capability: str | None
    digest: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call with whoever proved it."""

    caller: Caller
    call: Call
    body: bytes


Reply = Callable[[web.BaseRequest, Asked], Awaitable[web.StreamResponse]]


def require_own(bindings: Bindings, call: Call, subject: str) -> None:
    """Let a device speak for its own nodes alone.

    Raises:
        Refused: the node is another's, or nobody's.
    """
    owner = bindings.owner(call.public_key) if call.public_key else bindings.subject(call.node_id)
    if owner is None and not call.public_key:
        raise Refused(refusing.denied("unbound_node"))
    if owner not in (None, subject):
        raise Refused(refusing.denied("wrong_node"))


def size_of(request: web.BaseRequest) -> int:
    """Return how large the body is.

    Raises:
        Refused: it does not say, or is packed.
    """
    if (
        request.content_length is None
        or request.headers.get("Transfer-Encoding")
        or "Content-Encoding" in request.headers
    ):
        raise Refused(refusing.denied("malformed"))
    return request.content_length


def read_answer(kind: Any, answer: Answer) -> Any:
    """Return an answer of the SuperLink, read.

    Raises:
        Refused: with 502, when it cannot be read.
    """
    try:
        return kind.FromString(answer.body)
    except DecodeError:
        raise Refused(refusing.upstream_failed("upstream_unexpected")) from None


def whole(answer: Answer, more: Mapping[str, str] | None = None) -> web.Response:
    """Return what is handed on of an answer, with more headers."""
    return web.Response(status=answer.status, body=answer.body, headers={**passed_on(answer.headers), **(more or {})})


def protobuf(body: bytes) -> web.Response:
    """Return an answer of our own in Flower's words."""
    return web.Response(body=body, content_type="application/protobuf")
