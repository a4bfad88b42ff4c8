"""Listen for clients: bounded in connections, in headers and in the time that a connection may be silent."""

import asyncio
import socket
import ssl

from aiohttp import web

from adapters.gateway.proxy.gate import Gate
from adapters.gateway.proxy.limits import Limits

_CLOSE_SECONDS = 2.0
_LINGER_SECONDS = 1.0
_MAX_FIELD_BYTES = 16_384


class Serving:
    """Takes connections. Belongs to one event loop.

    Args:
        gate: answers.
        limits: bounds.
    """

    def __init__(self, gate: Gate, limits: Limits) -> None:
        self._gate = gate
        self._limits = limits
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._http = web.Server(
            self._answer,
            # A client that is gone takes what is under way for it with it: tokens cost, and nobody would read them.
            handler_cancellation=True,
            keepalive_timeout=limits.idle_seconds,
            auto_decompress=False,
            access_log=None,
            # Whoever still sends a body would see a reset connection, and not the answer that refuses it.
            lingering_time=_LINGER_SECONDS,
            max_field_size=_MAX_FIELD_BYTES,
            max_line_size=_MAX_FIELD_BYTES,
            read_bufsize=65_536,
        )
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> str:
        """Listen, and return the URL.

        Args:
            host: address.
            port: 0 for one that is free.
            tls: how connections are taken; none without TLS.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connected, host, port, ssl=tls, backlog=256)
        for listening in self._listener.sockets:
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                # Connections inherit it: one that takes nothing of what is sent is closed, whatever it waits for.
                milliseconds = max(1, round(self._limits.stall_seconds * 1000))
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        bound = self._listener.sockets[0].getsockname()[1]
        return f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{bound}"

    async def close(self) -> None:
        """Take no more connections, cut what is under way, and close."""
        if self._listener is not None:
            self._listener.close()
        for timer in self._silent.values():
            timer.cancel()
        await self._gate.close()
        await self._http.shutdown(_CLOSE_SECONDS)

    def _connected(self) -> asyncio.BaseProtocol:
        if len(self._http.connections) >= self._limits.connections:
            return _Closed()
        protocol = self._http()
        loop = asyncio.get_running_loop()
        self._silent[protocol] = loop.call_later(self._limits.idle_seconds, self._close_silent, protocol)
        return protocol

    def _close_silent(self, protocol: web.RequestHandler) -> None:
        """Close a connection that never brought a whole request head."""
        if self._silent.pop(protocol, None) is not None:
            protocol.force_close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        return await self._gate.answer(request)


class _Closed(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it at once."""
        transport.close()
