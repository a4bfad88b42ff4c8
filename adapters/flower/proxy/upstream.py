"""The SuperLink behind the proxy: asked within a time, answers bounded or passed on piece by piece."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from adapters.flower.proxy.fleet import PREFIX, CallName
from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.refusing import Refused, upstream_failed, upstream_late
from controlplane.capabilities.channels import client_context

if TYPE_CHECKING:
    from adapters.flower.proxy.calling import Asked

_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What the SuperLink answered, read whole.

    Attributes:
        status: HTTP status.
        headers: as they came.
        body: of the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the call was carried out."""
        return self.status == 200


class Upstream:
    """Carries calls to the SuperLink. Belongs to one event loop.

    It follows no redirect, keeps no cookie, unpacks nothing, and looks at no proxy settings.

    Args:
        url: of the SuperLink, up to its paths.
        limits: bounds.
        tls: how its certificate is verified; none for the system's authorities.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        if URL(url).scheme not in ("http", "https") or not URL(url).host:
            raise ValueError(f"{url!r} is no URL such as http://127.0.0.1:9092")
        self._url = url.rstrip("/")
        self._limits = limits
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()

    async def carry(self, asked: "Asked", most_bytes: int) -> Answer:
        """Return the whole answer to a call as a node made it.

        Raises:
            Refused: with 502 or 504, when there is none that can be used.
        """
        return await self.ask(asked.call.name, asked.caller.headers, asked.body, most_bytes)

    async def ask(self, name: CallName, headers: Mapping[str, str], body: bytes, most_bytes: int) -> Answer:
        """Return the whole answer to a call.

        Raises:
            Refused: with 502 or 504, when there is none that can be used.
        """
        async with self.asking(name, headers, body) as answer:
            return await self.read(answer, most_bytes)

    @asynccontextmanager
    async def asking(
        self, name: CallName, headers: Mapping[str, str], body: bytes | AsyncIterator[bytes]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a call, and return its answer with the body still to come.

        Raises:
            Refused: with 502 or 504; or what the body raised.
        """
        if self._session is None:
            self._session = self._open()
        try:
            async with (
                asyncio.timeout(self._limits.upstream_seconds),
                self._session.post(
                    URL(self._url + PREFIX + name, encoded=True), data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                yield answer
        except TimeoutError:
            raise Refused(upstream_late()) from None
        except aiohttp.ClientError as error:
            raise _cause(error) from None

    async def read(self, answer: aiohttp.ClientResponse, most_bytes: int) -> Answer:
        """Return an answer with its body.

        Raises:
            Refused: with 502, when the body is larger.
        """
        body = bytearray()
        async for piece in self.pieces(answer):
            body += piece
            if len(body) > most_bytes:
                raise Refused(upstream_failed("upstream_too_large"))
        return Answer(answer.status, answer.headers, bytes(body))

    async def pieces(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Give out the body of an answer piece by piece."""
        async for piece in answer.content.iter_chunked(_PIECE):
            yield piece

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limits.requests, ssl=self._tls or client_context()),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        )


def _cause(error: BaseException) -> Refused:
    """Return what a body raised while it was passed on, or that the SuperLink cannot be reached."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, Refused):
            return inner
        inner = inner.__cause__
    return Refused(upstream_failed("upstream_unreachable"))
