"""Serve the edge on a socket: what is bounded before a request reaches it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web

from controlplane.api.problems import problem
from controlplane.api.replies import reply

MAX_HEADER_BYTES = 16_384
KEEPALIVE_SECONDS = 75.0
LINGER_SECONDS = 2.0
SHUTDOWN_SECONDS = 5.0

_log = structlog.get_logger("ztfm.api")


class Connection(web.RequestHandler):
    """One connection: it gets a problem document for what is no HTTP."""

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
        detail = f"Header lines have at most {MAX_HEADER_BYTES} bytes; the syntax is RFC 9112."
        error = problem("bad-http", status, "The request is not well-formed HTTP", detail if status < 500 else "")
        response = reply(error.problem, status, media_type="application/problem+json")
        response.force_close()
        return response


@asynccontextmanager
async def serving(app: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    """Bring ``app`` up, serve it on ``listener`` for as long as the context is entered, and take it down.

    Requests under way have five seconds to end; the listener is closed either way.

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
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS, **limits)
    server: asyncio.Server | None = None
    try:
        await runner.setup()
        manager = runner.server
        if manager is None:
            raise RuntimeError("the application was set up without a server")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(manager, loop=loop, **limits), sock=listener, backlog=1024)
        yield
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()
        listener.close()
