"""Carry one HTTP request: within a time, with a bounded answer, and never twice unless the first never left."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from adapters.errors import Unavailable
from adapters.wire import MAX_ANSWER_BYTES

_CONNECT_SECONDS = 5.0
_TRIES = 2


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back."""

    status: int
    body: bytes
    retry_after: str


class Transport:
    """A pool of connections that is made on first use and belongs to one event loop.

    It follows no redirect (a proof is for one URL), keeps no cookie, and unpacks nothing.

    Args:
        timeout_seconds: from asking to the whole answer.
        tls: how a TLS connection is verified; none for the system's authorities.
    """

    def __init__(self, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=min(_CONNECT_SECONDS, timeout_seconds)
        )
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: str, body: bytes | None, headers: Callable[[], Mapping[str, str]]
    ) -> HttpAnswer:
        """Return the answer to a request.

        Args:
            method: HTTP method.
            url: absolute, already escaped.
            body: what is sent; none for no body.
            headers: makes the headers of one try, so that each has a proof of its own.

        Raises:
            Unavailable: no whole answer came in time.
        """
        for remaining in reversed(range(_TRIES)):
            try:
                return await self._try(method, url, body, headers())
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                if not remaining:
                    raise Unavailable(_unreachable(url, error), is_untouched=True) from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unavailable(f"{_host(url)} gave no answer ({type(error).__name__})") from None
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _try(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        async with self._opened().request(
            method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as answer:
            return HttpAnswer(answer.status, await _bounded(answer), answer.headers.get("Retry-After", ""))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise Unavailable(f"the answer is larger than {MAX_ANSWER_BYTES} bytes", status=answer.status)
    return bytes(body)


def _unreachable(url: str, error: Exception) -> str:
    return f"no connection to {_host(url)} ({type(error).__name__}): is the control plane running, is the URL right?"


def _host(url: str) -> str:
    return urlsplit(url).netloc or url
