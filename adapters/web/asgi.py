"""Guard any ASGI application: wrap it in `Guarded`, and every request has shown its capability after that.

Pure ASGI 3: Starlette, FastAPI, Quart, Django and others under uvicorn, hypercorn or granian.

Example:
    app = Guarded(app, EnforcementPoint(CONTROL_PLANE, audience="models-1", public_url=PUBLIC_URL, rules=[Rule(...)]))

    async def app(scope, receive, send):
        admitted = capability_of(scope)
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from adapters.web.admission import Admitted
from adapters.web.answering import Refusal
from adapters.web.observing import Overheard, observe
from adapters.web.point import EnforcementPoint
from adapters.web.presented import Asked
from controlplane.capabilities.certificates import read_certificate

CAPABILITY: Final = "ztfm.capability"
"""Under this name the application finds the `Admitted` of a request in its scope."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guarded:
    """An ASGI application behind an enforcement point, which ends with it. Web sockets are refused.

    Args:
        app: what answers.
        point: what verifies.
    """

    def __init__(self, app: Application, point: EnforcementPoint) -> None:
        self._app = app
        self._point = point

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection (ASGI 3)."""
        if scope["type"] == "lifespan":
            await self._app(scope, self._starting(receive), self._ending(send))
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            raise RuntimeError(f"an enforcement point lets no {scope['type']!r} through")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        verdict = await self._point.check(_asked(scope, self._point))
        if isinstance(verdict, Refusal):
            await _refuse(verdict, send)
        elif isinstance(verdict, Admitted):
            scope, heard = {**scope, CAPABILITY: verdict}, Overheard(receive)
            answering = _Bounded(self._point, verdict, send)
            await self._app(scope, receive if self._point.signals is None else heard, answering)
            observe(self._point.signals, verdict, bytes(heard.body), answering.sent)
        else:
            await self._app(scope, receive, send)

    def _starting(self, receive: Receive) -> Receive:
        async def started() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._point.start()
            return message

        return started

    def _ending(self, send: Send) -> Send:
        async def ended(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown") or message["type"] == "lifespan.startup.failed":
                await self._point.close()
            await send(message)

        return ended


def capability_of(scope: Scope) -> Admitted:
    """Return what a guarded request was let through with.

    Raises:
        KeyError: the path is exempt.
    """
    admitted: Admitted = scope[CAPABILITY]
    return admitted


def _asked(scope: Scope, point: EnforcementPoint) -> Asked:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return Asked(scope["method"], _path(scope), headers, _certificate(scope, point))


def _path(scope: Scope) -> str:
    """Return the path as it came; nothing for one that the application reads otherwise."""
    raw = (scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
    if not raw:
        return quote(scope["path"], safe="/!$&'()*+,;=:@-._~")
    return raw if unquote(raw) == scope["path"] else ""


def _certificate(scope: Scope, point: EnforcementPoint) -> str | None:
    """Return the thumbprint of the client certificate (ASGI's TLS extension), or none."""
    chain = ((scope.get("extensions") or {}).get("tls") or {}).get("client_cert_chain") or ()
    if not chain or not point.takes_certificates:
        return None
    try:
        der = load_pem_x509_certificate(next(iter(chain)).encode()).public_bytes(Encoding.DER)
    except ValueError:
        return None
    found = read_certificate(der)
    return found.thumbprint if found is not None and found.expires_at > point.clock() else None


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = refusal.body
    headers = [(name.lower().encode(), value.encode()) for name, value in refusal.all_headers().items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Bounded:
    """Sends an answer as far as a capability reaches: refused when it says that it is larger, else broken off."""

    def __init__(self, point: EnforcementPoint, admitted: Admitted, send: Send) -> None:
        self._point = point
        self._admitted = admitted
        self._send = send
        self.sent = 0
        self._is_refused = False

    async def __call__(self, message: Message) -> None:
        if self._admitted.max_answer_bytes is None:
            self.sent += len(message.get("body", b""))
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body":
            await self._pass(message)
        else:
            raise RuntimeError(f"a limited answer is sent as its bytes, not as {message['type']!r}")

    async def _start(self, message: Message) -> None:
        lengths = [value for name, value in message.get("headers", ()) if name.lower() == b"content-length"]
        refusal = self._point.exceeded(self._admitted, int(lengths[0])) if lengths else None
        if refusal is None:
            await self._send(message)
        else:
            self._is_refused = True
            await _refuse(refusal, self._send)

    async def _pass(self, message: Message) -> None:
        if self._is_refused:
            return
        self.sent += len(message.get("body", b""))
        if self._point.exceeded(self._admitted, self.sent) is not None:
            raise RuntimeError("the answer outgrows what the capability reaches for")
        await self._send(message)
