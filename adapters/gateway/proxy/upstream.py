"""The model server behind the proxy: asked within a time, its answers bounded, its failures told apart."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.refusing import Refused, broken, busy, failed, late, unbounded, unreachable
from controlplane.capabilities.channels import client_context

_PIECE: Final = 65_536
_KEEPALIVE_SECONDS: Final = 3.0
_END_SECONDS: Final = 0.05
_NOT_FOR_CLIENTS: Final = frozenset({401, 403, 407})
"""A client would take these for the proxy's own: its capability were refused."""


class Upstream:
    """Carries requests to a model server. Belongs to one event loop.

    It follows no redirect, keeps no cookie, unpacks nothing, and looks at no proxy settings.

    Args:
        url: of the model server, up to its paths; or ``unix:`` and the path of its socket.
        limits: bounds.
        tls: how its certificate is verified; none for the system's authorities.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._socket = url.removeprefix("unix:") if url.startswith("unix:/") else None
        url = url if self._socket is None else "http://localhost"
        parsed = URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query_string or parsed.user:
            raise ValueError(f"{url!r} is no URL such as http://127.0.0.1:8000, nor unix:/run/model.sock")
        self._url = url.rstrip("/")
        self._limits = limits
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def asking(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and return the answer with its body still to come, whatever its status (`require_usable`).

        Raises:
            Refused: with 502 or 504.
        """
        if self._session is None:
            self._session = self._open()
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                answer = await self._session.request(
                    method,
                    URL(self._url + path, encoded=True),
                    data=body or None,
                    headers=headers,
                    allow_redirects=False,
                )
        except TimeoutError:
            raise late() from None
        except aiohttp.ClientConnectorError:
            raise unreachable() from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _cause(error) from None
        try:
            yield answer
            await _finish(answer)
        finally:
            # An answer that was not read to its end takes its connection with it.
            answer.close()

    async def pieces(self, answer: aiohttp.ClientResponse, most_bytes: int) -> AsyncIterator[bytes]:
        """Give out the body of an answer as it comes, without waiting for more than there is.

        Raises:
            Refused: it stalls, breaks off, or is too large.
        """
        size = 0
        while True:
            try:
                async with asyncio.timeout(self._limits.stall_seconds):
                    piece = await answer.content.readany()
            except TimeoutError:
                raise late() from None
            except (aiohttp.ClientError, OSError) as error:
                raise _cause(error) from None
            if not piece:
                return
            size += len(piece)
            if size > most_bytes:
                raise unbounded("bytes")
            yield piece

    async def whole(self, answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
        """Return the body of an answer.

        Raises:
            Refused: it stalls, breaks off, or is too large.
        """
        if (answer.content_length or 0) > most_bytes:
            raise unbounded("bytes")
        return b"".join([piece async for piece in self.pieces(answer, most_bytes)])

    def _open(self) -> aiohttp.ClientSession:
        # Shorter than servers keep theirs: a request on a connection that was just closed could not be sent again.
        limit, seconds = self._limits.requests, _KEEPALIVE_SECONDS
        connector: aiohttp.BaseConnector
        if self._socket is not None:
            connector = aiohttp.UnixConnector(self._socket, limit=limit, keepalive_timeout=seconds)
        else:
            tls = self._tls or client_context()
            connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=seconds, ssl=tls)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_PIECE,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )


def is_worked_on(status: int) -> bool:
    """Whether a model may have read a prompt that it answers so: it did not where it was asked wrongly, or was busy."""
    return 200 <= status < 300 or (status >= 500 and status != 503)


def require_usable(answer: aiohttp.ClientResponse) -> None:
    """Refuse an answer that is not for the client.

    Raises:
        Refused: with 502, 503 or 504.
    """
    status = answer.status
    if status == 503:
        raise Refused(busy("upstream_busy").answer, "upstream_status")
    if status >= 500 or status in _NOT_FOR_CLIENTS or (not 200 <= status < 300 and status < 400):
        raise failed(status)
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise broken("it is compressed, though that was not asked for")


async def _finish(answer: aiohttp.ClientResponse) -> None:
    """Read the end of an answer that said that it is over, so that its connection can be used again."""
    try:
        async with asyncio.timeout(_END_SECONDS):
            while await answer.content.readany():
                pass
    except (TimeoutError, aiohttp.ClientError):
        return


def _cause(error: BaseException) -> Refused:
    if isinstance(error, (aiohttp.ServerTimeoutError, TimeoutError)):
        return late()
    if isinstance(error, aiohttp.ClientResponseError):
        return broken("it is not HTTP that can be read")
    return broken("the connection ended before the answer did")
