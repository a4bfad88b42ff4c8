"""Carry one HTTP request: within a time, with a bounded answer, and never twice unless the first never left."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from adapters.errors import TimedOut, Unavailable, Unreachable
from adapters.serversent import EventReader, ServerEvent
from adapters.tracing import trace_headers
from adapters.wire import MAX_ANSWER_BYTES
from controlplane.capabilities.channels import client_context

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0

_TRIES = 2


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back.

    Attributes:
        headers: names are compared without regard to case.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]


class Transport:
    """A pool of connections that is made on first use and belongs to one event loop.

    It follows no redirect (a proof is for one URL), keeps no cookie, unpacks nothing, and looks at no proxy settings.

    Args:
        timeout_seconds: from asking to the whole answer, a second try included.
        connect_seconds: for a connection to be made.
        tls: how a TLS connection is verified, and with which certificate it is made; none for the system's authorities
            and TLS 1.3.
        socket: Unix socket to connect to, whatever host the URL names; without TLS, the file's permissions guard it.

    Raises:
        ValueError: a time is not above zero, or both ``tls`` and ``socket`` are given.
    """

    def __init__(
        self,
        timeout_seconds: float = TOTAL_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        tls: ssl.SSLContext | None = None,
        socket: Path | None = None,
    ) -> None:
        if not (timeout_seconds > 0 and connect_seconds > 0):
            raise ValueError("a call without a time limit could hang forever: give times above zero")
        if tls is not None and socket is not None:
            raise ValueError("a Unix socket carries no TLS: give `tls` or `socket`")
        self._total = timeout_seconds
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(connect_seconds, timeout_seconds))
        self._tls = tls
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Callable[[], Mapping[str, str]],
        *,
        more_seconds: float = 0.0,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpAnswer:
        """Return the answer to a request.

        Args:
            method: HTTP method.
            url: absolute, already escaped.
            body: what is sent; none for no body.
            headers: makes the headers of one try, so that each has a proof of its own.
            more_seconds: for which the answer may be held back on purpose.
            most_bytes: of the answer.

        Raises:
            Unreachable: no connection could be made, twice.
            TimedOut: no whole answer came in time.
            Unavailable: the answer broke off, or is too large.
        """
        try:
            async with asyncio.timeout(self._total + more_seconds):
                return await self._tried(method, url, body, headers, most_bytes)
        except TimeoutError:
            raise TimedOut(f"{_host(url)} gave no whole answer within {self._total + more_seconds:g} s") from None

    @asynccontextmanager
    async def stream(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for something that does not end, and give out the answer as it begins; its reader bounds the waiting.

        Args:
            url: absolute, already escaped.
            headers: of the request.

        Raises:
            Unreachable: no connection could be made.
            TimedOut: no answer began in time.
            Unavailable: the answer broke off.
        """
        try:
            async with asyncio.timeout(self._total) as beginning:
                async with self._opened().get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
                    beginning.reschedule(None)
                    yield answer
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable(_unreachable(url, error)) from None
        except TimeoutError:
            raise TimedOut(f"{_host(url)} did not answer within {self._total:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{_host(url)} broke off ({type(error).__name__})") from None

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _tried(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Callable[[], Mapping[str, str]],
        most_bytes: int,
    ) -> HttpAnswer:
        for remaining in reversed(range(_TRIES)):
            try:
                return await self._try(method, url, body, headers(), most_bytes)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                if not remaining:
                    raise Unreachable(_unreachable(url, error)) from None
            except TimeoutError:
                raise
            except (aiohttp.ClientError, OSError) as error:
                again = (
                    ": is it https:// instead of http://?" if url.startswith("http://") and self._socket is None else ""
                )
                raise Unavailable(f"{_host(url)} gave no answer ({type(error).__name__}){again}") from None
        raise AssertionError("unreachable")

    async def _try(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], most_bytes: int
    ) -> HttpAnswer:
        sent = {**trace_headers(), **headers}
        async with self._opened().request(
            method, URL(url, encoded=True), data=body, headers=sent, allow_redirects=False
        ) as answer:
            return HttpAnswer(answer.status, await read_bounded(answer, most_bytes), answer.headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._socket is not None:
            return aiohttp.UnixConnector(str(self._socket))
        return aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else client_context())


async def read_bounded(answer: aiohttp.ClientResponse, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Return an answer's body, of at most so many bytes.

    Raises:
        Unavailable: it is too large.
    """
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise Unavailable(f"the answer is larger than {most_bytes} bytes", status=answer.status)
    return bytes(body)


async def read_events(answer: aiohttp.ClientResponse) -> AsyncIterator[ServerEvent]:
    """Yield the server-sent events of an answer until it ends.

    Raises:
        Unavailable: it is no stream of events, or one of them is too long.
    """
    if answer.content_type != "text/event-stream":
        raise Unavailable("the answer is no stream of events: is this the control plane's URL?", status=answer.status)
    reader = EventReader()
    async for piece in answer.content.iter_any():
        try:
            events = reader.feed(piece)
        except ValueError as error:
            raise Unavailable(f"the stream cannot be read: {error}") from None
        for event in events:
            yield event


def _unreachable(url: str, error: Exception) -> str:
    return f"no connection to {_host(url)} ({type(error).__name__}): {_remedy(error)}"


def _remedy(error: Exception) -> str:
    # Each is a ClientConnectorError too, so the narrower comes first.
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted for this name: give `tls=` a context with its authority"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "it does not speak TLS 1.3 there, or wants a client certificate: is it http:// instead of https://?"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "nobody knows a host of this name: is the URL right?"
    return "is the control plane running, is the URL right?"


def _host(url: str) -> str:
    return urlsplit(url).netloc or url
