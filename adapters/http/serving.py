"""Serve an application on a socket, within bounds."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from adapters.jobs.refusals import fault, malformed

MAX_HEADER_BYTES = 16 * 1024

_BACKLOG = 256
_KEEPALIVE_SECONDS = 60.0
_LINGER_SECONDS = 2.0
_SHUTDOWN_SECONDS = 5.0

_log = logging.getLogger("ztfm.http")


class Places:
    """How many connections there may be, and those that are.

    Args:
        most: connections at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[asyncio.Transport] = set()

    def take(self, transport: asyncio.Transport) -> bool:
        """Return whether there is a place for a connection, which has it then."""
        if len(self._taken) >= self._most:
            return False
        self._taken.add(transport)
        return True

    def give_back(self, transport: asyncio.Transport) -> None:
        """The connection is gone."""
        self._taken.discard(transport)

    def clear(self) -> None:
        """Close all connections at once."""
        for transport in list(self._taken):
            transport.abort()


class Connection(web.RequestHandler):
    """One connection: closed at once when all places are taken; what is no HTTP is answered with a problem.

    Args:
        manager: of aiohttp's.
        places: that connections share.
        options: of aiohttp's.
    """

    __slots__ = ("_places", "_self")

    def __init__(self, manager: web.Server, places: Places, **options: Any) -> None:
        super().__init__(manager, **options)
        self._places = places
        self._self: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or close."""
        super().connection_made(transport)
        if not isinstance(transport, asyncio.Transport):
            return
        self._self = transport
        if not self._places.take(transport):
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        if self._self is not None:
            self._places.give_back(self._self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or carried out; neither the answer nor the log repeats any of it."""
        del message
        if status >= 500:
            _log.error("a request met an unexpected fault", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        detail = f"The syntax is RFC 9112; header lines have at most {MAX_HEADER_BYTES} bytes."
        refusal = fault(status) if status >= 500 else malformed(detail, "bad_http")
        response = web.Response(status=status, body=refusal.body, headers=refusal.all_headers())
        response.force_close()
        return response


def listening_at(host: str, port: int) -> socket.socket:
    """Return a socket that is bound.

    Raises:
        OSError: it cannot be bound.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


@asynccontextmanager
async def serving(
    app: web.Application, bound: socket.socket, connections: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve an application for as long as the context is entered. Requests under way have five seconds to end.

    Args:
        app: what answers.
        bound: where it listens; closed at the end.
        connections: at a time.
        tls: how TLS connections are taken; none takes plain ones.
    """
    limits: dict[str, Any] = {
        "access_log": None,
        "auto_decompress": False,
        # Also for a connection that never brings a whole request.
        "keepalive_timeout": _KEEPALIVE_SECONDS,
        "lingering_time": _LINGER_SECONDS,
        "max_field_size": MAX_HEADER_BYTES,
        "max_line_size": MAX_HEADER_BYTES,
    }
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS, **limits)
    server: asyncio.Server | None = None
    places = Places(connections)
    try:
        await runner.setup()
        manager = runner.server
        if manager is None:
            raise RuntimeError("the application was set up without a server")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(manager, places, loop=loop, **limits), sock=bound, backlog=_BACKLOG, ssl=tls
        )
        yield
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()
        # One that was accepted a moment ago is nobody's yet.
        places.clear()
        await asyncio.sleep(0)
        bound.close()
