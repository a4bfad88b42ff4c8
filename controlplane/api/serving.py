"""Serve the edge on a socket: what is bounded before a request reaches it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web

from controlplane.api.connections import examine_link
from controlplane.api.crowding import Crowd, room
from controlplane.api.listening import LISTEN_BACKLOG, Listener
from controlplane.api.problems import ProblemError, problem
from controlplane.api.replies import reply

MAX_HEADER_BYTES = 16_384
KEEPALIVE_SECONDS = 75.0
LINGER_SECONDS = 2.0
SHUTDOWN_SECONDS = 5.0
HANDSHAKE_SECONDS = 10.0

_log = structlog.get_logger("ztfm.api")


class Connection(web.RequestHandler):
    """One connection: it says how the other side reached us, and answers what is no HTTP with a problem document.

    Attributes:
        link: looked at when the connection is made, for all its requests.
    """

    __slots__ = ("_crowd", "link")

    def __init__(self, manager: web.Server, crowd: Crowd, **options: Any) -> None:
        super().__init__(manager, **options)
        self._crowd = crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at the transport, then begin to read."""
        self.link = examine_link(transport)
        super().connection_made(transport)
        self._crowd.join(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room."""
        self._crowd.leave(self)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was asked that is not answered yet."""
        return not self._request_in_progress and not self._messages

    def cut(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed; neither the answer nor the log repeats any of it."""
        del message
        _log.info("not_http", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        response = reply(_problem(status).problem, status, media_type="application/problem+json")
        response.force_close()
        return response


def _problem(status: int) -> ProblemError:
    if status >= 500:
        return problem("internal", 500, "The control plane met an unexpected fault")
    detail = f"Header lines have at most {MAX_HEADER_BYTES} bytes; the syntax is RFC 9112."
    return problem("bad-http", status, "The request is not well-formed HTTP", detail)


@asynccontextmanager
async def serving(app: web.Application, *listeners: socket.socket | Listener) -> AsyncIterator[None]:
    """Bring ``app`` up, serve it on ``listeners`` for as long as the context is entered, and take it down.

    Requests under way have five seconds to end; the listeners are closed either way.

    Raises:
        Exception: what kept the application from starting.
    """
    limits: dict[str, Any] = {
        "access_log": None,
        "auto_decompress": False,
        # Also for a connection that never brings a whole request.
        "keepalive_timeout": KEEPALIVE_SECONDS,
        "lingering_time": LINGER_SECONDS,
        "max_field_size": MAX_HEADER_BYTES,
        "max_line_size": MAX_HEADER_BYTES,
    }
    opened = [item if isinstance(item, Listener) else Listener(item) for item in listeners]
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS, **limits)
    servers: list[asyncio.Server] = []
    try:
        await runner.setup()
        manager = runner.server
        if manager is None:
            raise RuntimeError("the application was set up without a server")
        loop, crowd = asyncio.get_running_loop(), Crowd(room())
        for listener in opened:
            # One that cannot be served leaves those before it to be closed.
            servers.append(await _serve(lambda: Connection(manager, crowd, loop=loop, **limits), listener))  # noqa: PERF401
        yield
    finally:
        for server in servers:
            server.close()
        await runner.cleanup()
        for listener in opened:
            listener.socket.close()
            if listener.path is not None:
                listener.path.unlink(missing_ok=True)


async def _serve(connection: Callable[[], Connection], listener: Listener) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if listener.socket.family == socket.AF_UNIX:
        return await loop.create_unix_server(connection, sock=listener.socket, backlog=LISTEN_BACKLOG)
    handshake = HANDSHAKE_SECONDS if listener.tls is not None else None
    return await loop.create_server(
        connection,
        sock=listener.socket,
        backlog=LISTEN_BACKLOG,
        ssl=listener.tls,
        ssl_handshake_timeout=handshake,
        ssl_shutdown_timeout=handshake,
    )
