"""Serve the gate: bounded in connections, in requests under way and in time."""

import asyncio
import logging
import ssl
from pathlib import Path

from aiohttp import web

from adapters.flower.proxy import refusing
from adapters.flower.proxy.gate import Gate
from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.refusing import Refused
from adapters.web.answering import Refusal

REPORT_SECONDS = 2.0
_CLOSE_SECONDS = 5.0

_log = logging.getLogger("ztfm.flower.proxy")


class Serving:
    """Listens for SuperNodes. Belongs to one event loop.

    Args:
        gate: answers.
        limits: bounds.
    """

    def __init__(self, gate: Gate, limits: Limits) -> None:
        self._gate = gate
        self._limits = limits
        self._under_way = 0
        self._unused: set[web.RequestHandler] = set()
        self._http = web.Server(
            self._answer,
            keepalive_timeout=limits.idle_seconds,
            auto_decompress=False,
            access_log=None,
            max_field_size=16_384,
            max_line_size=2048,
        )
        self._listener: asyncio.Server | None = None
        self._writing: asyncio.Task[None] | None = None

    async def start(
        self, host: str, port: int, *, public_url: str | None = None, tls: ssl.SSLContext | None = None
    ) -> str:
        """Listen, and return the URL of this listener.

        Args:
            host: address.
            port: 0 for one that is free.
            public_url: how SuperNodes' sidecars reach it; proofs are compared with that. None for the listener's.
            tls: this side's certificate; none without TLS.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connected, host, port, ssl=tls, backlog=128)
        bound = self._listener.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        url = f"{'http' if tls is None else 'https'}://{shown}:{bound}"
        self._gate.public_url = (public_url or url).rstrip("/")
        return url

    def write_reports(self, path: Path) -> None:
        """Keep the report in a file, as it is now and every two seconds from then on.

        Raises:
            OSError: it cannot be written.
        """
        self._gate.report.write(path)

        async def _write() -> None:
            while True:
                await asyncio.sleep(REPORT_SECONDS)
                try:
                    self._gate.report.write(path)
                except OSError as error:
                    _log.warning("the report cannot be written: %s", error)

        self._writing = asyncio.create_task(_write(), name="ztfm-flower-report")

    async def close(self) -> None:
        """Take no more connections, and give those that are under way a moment to end."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        await self._http.shutdown(_CLOSE_SECONDS)

    def _connected(self) -> asyncio.BaseProtocol:
        if len(self._http.connections) >= self._limits.connections:
            self._gate.report.count("none", "too_many_connections")
            return _Closed()
        protocol = self._http()
        self._unused.add(protocol)
        asyncio.get_running_loop().call_later(self._limits.idle_seconds, self._close_unused, protocol)
        return protocol

    def _close_unused(self, protocol: web.RequestHandler) -> None:
        """Close a connection that never brought a request."""
        if protocol in self._unused:
            self._unused.discard(protocol)
            protocol.force_close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._unused.discard(request.protocol)
        if self._under_way >= self._limits.requests:
            self._gate.report.count("none", "too_many_requests")
            return _shown(refusing.busy("too_many_requests"))
        self._under_way += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._gate.answer(request)
        except Refused as refused:
            return _shown(refused.answer)
        except TimeoutError:
            self._gate.report.count("none", "too_slow")
            return _shown(refusing.upstream_late())
        except (ConnectionError, web.RequestPayloadError):
            self._gate.report.count("none", "gone")
            return _shown(refusing.denied("gone"))
        except Exception:  # noqa: BLE001 - logged, counted, and nothing is let through
            _log.exception("an unexpected fault; nothing is let through")
            self._gate.report.count("none", "fault")
            return _shown(refusing.busy("fault"))
        finally:
            self._under_way -= 1


class _Closed(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it at once."""
        transport.close()


def _shown(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, body=refusal.body, headers=refusal.all_headers())
