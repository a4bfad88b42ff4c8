"""The client's side of an exchange: answers whole or piece by piece, and ends that nobody takes for whole ones."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from adapters.gateway.proxy.refusing import slow_client
from adapters.serversent import ServerEvent
from adapters.web.answering import Refusal

EVENTS = "text/event-stream"
"""Media type of server-sent events."""

_PIECE = 65_536
_OURS = {"Server": "ztfm"}


class Client:
    """Answers one request. Belongs to its task.

    Args:
        request: of the client.
        stall_seconds: that it may take nothing.

    Attributes:
        sent: bytes of the answer's body.
    """

    def __init__(self, request: web.BaseRequest, stall_seconds: float) -> None:
        self.sent = 0
        self._request = request
        self._stall_seconds = stall_seconds
        self._running: web.StreamResponse | None = None
        self._is_events = False

    @property
    def is_answered(self) -> bool:
        """Whether an answer has begun, so that no other can be given."""
        return self._running is not None

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer that comes piece by piece."""
        self._running = web.StreamResponse(status=status, headers={**headers, **_OURS, "X-Accel-Buffering": "no"})
        self._is_events = headers.get("content-type", "").startswith(EVENTS)
        await self._running.prepare(self._request)

    async def write(self, piece: bytes) -> None:
        """Send a piece, and wait while the client has enough to take.

        Raises:
            Refused: it takes nothing for too long.
            ConnectionError: it is gone.
        """
        if self._running is None:
            raise RuntimeError("an answer begins before it goes on")
        if not piece:
            return
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._running.write(piece)
        except TimeoutError:
            raise slow_client() from None
        self.sent += len(piece)

    async def end(self) -> web.StreamResponse:
        """End an answer that came piece by piece, and return it."""
        if self._running is None:
            raise RuntimeError("an answer begins before it ends")
        await self._running.write_eof()
        return self._running

    async def send(self, answer: web.StreamResponse) -> web.StreamResponse:
        """Send an answer that is ready whole, and return it. A short one is left to the server to send.

        Raises:
            Refused: the client takes nothing for too long.
            ConnectionError: it is gone.
        """
        if answer.prepared or not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
            return answer
        body = answer.body
        if len(body) <= _PIECE:
            return answer
        self._running = web.StreamResponse(status=answer.status, headers=answer.headers)
        self._running.content_length = len(body)
        await self._running.prepare(self._request)
        for at in range(0, len(body), _PIECE):
            await self.write(body[at : at + _PIECE])
        return await self.end()

    def abort(self) -> None:
        """End everything at once, with nothing more said."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def cut(self, reason: Refusal) -> web.StreamResponse:
        """End an answer before its end. HTTP's own end is left out, so that nobody takes it for a whole one.

        Of server-sent events, the last says why, unless the client is behind: then nothing more is sent at all, and
        what it has not taken yet is dropped (RFC 9112 section 8).
        """
        transport = self._request.transport
        if transport is not None:
            if self._is_events and self._running is not None and not transport.get_write_buffer_size():
                await self._running.write(encoded(ServerEvent("error", json.dumps(error_of(reason)), None)))
                transport.close()
            else:
                transport.abort()
        return self._running or web.StreamResponse()


def whole(status: int, headers: Mapping[str, str], body: bytes) -> web.Response:
    """Return an answer that is sent at once."""
    return web.Response(status=status, headers={**headers, **_OURS}, body=body)


def refusal(answer: Refusal) -> web.Response:
    """Return the proxy's own answer."""
    return web.Response(status=answer.status, body=answer.body, headers={**answer.all_headers(), **_OURS})


def error_of(reason: Refusal) -> dict[str, object]:
    """Return why an answer ends, in the form that clients of OpenAI's API look for in an event."""
    detail = {"type": f"urn:ztfm:problem:{reason.kind}", "code": reason.kind, "message": reason.detail}
    return {"error": {**detail, "status": reason.status}}


def encoded(event: ServerEvent) -> bytes:
    """Return an event as it goes over the wire, in one spelling."""
    lines = [] if event.name == "message" else [f"event: {event.name}"]
    lines += [] if event.id is None else [f"id: {event.id}"]
    lines += [f"data: {line}" for line in event.data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()
