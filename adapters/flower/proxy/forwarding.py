"""Beside a SuperNode: pass its calls to the proxy, each proven with the device's key, with the capability it needs."""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from adapters.answers import Grant
from adapters.errors import ControlPlaneError
from adapters.flower.proxy.headers import (
    CAPABILITY,
    DIGEST,
    PROOF,
    ROUND,
    AnnouncedRound,
    content_digest,
    passed_on,
    read_digest,
)
from adapters.flower.proxy.limits import Limits
from adapters.renewal import Capabilities
from controlplane.capabilities.channels import client_context
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import CapabilityContext
from controlplane.jose.keys import DeviceKey

_PREFIX = "/v1/fleet/"
_PULL, _FETCH, _PUSH = (_PREFIX + name for name in ("pull-messages", "pull-object", "push-messages"))
_PIECE = 65_536
_CLOSE_SECONDS = 2.0

_log = logging.getLogger("ztfm.flower.sidecar")


class Forwarder:
    """Passes a SuperNode's calls on. An async context manager; belongs to one event loop.

    It asks for a capability when the proxy names a round: once for all objects of the round's weights, and for each
    update anew. A device that is denied the weights does not bother its SuperNode with the message: it is told that
    there is none.

    Args:
        key: of the enrolled device.
        capabilities: asked as that device.
        proxy: the proxy's public URL.
        limits: bounds; what is pushed is held in memory while it is signed.
        tls: how the proxy's certificate is verified; none for the system's authorities.
        clock: Unix seconds.
    """

    def __init__(
        self,
        key: DeviceKey,
        capabilities: Capabilities,
        proxy: str,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._capabilities = capabilities
        self._proxy = proxy.rstrip("/")
        self._limits = limits or Limits()
        self._tls = tls
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._round: AnnouncedRound | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limits.requests, ssl=self._tls or client_context()),
            timeout=aiohttp.ClientTimeout(total=self._limits.seconds, sock_connect=self._limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to one call of the SuperNode."""
        path = request.raw_path
        if request.method != "POST" or not path.startswith(_PREFIX):
            return web.Response(status=403)
        if request.content_length is None or request.content_length > self._limits.object_bytes:
            return web.Response(status=413)
        body = await request.content.read(-1) if request.content_length else b""
        headers = passed_on(request.headers)
        try:
            answer = await self._called(path, headers, body, await self._capability(path))
            if answer.status == 403 and path in (_FETCH, _PUSH) and self._announced(answer) is not None:
                # The round was not known yet when this was asked.
                answer.release()
                answer = await self._called(path, headers, body, await self._capability(path))
            async with answer:
                return await self._handed_on(request, path, answer)
        except TimeoutError:
            return web.Response(status=504)
        except aiohttp.ClientError as error:
            _log.warning("the proxy cannot be reached: %s", error)
            return web.Response(status=502)

    async def _called(
        self, path: str, headers: Mapping[str, str], body: bytes, capability: str | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("a forwarder is entered before it is asked")
        url, digest = self._proxy + path, content_digest(body)
        proof = make_proof(
            self._key,
            method="POST",
            url=url,
            now=self._clock(),
            access_token=capability,
            digest=read_digest([digest]),
        )
        shown = {PROOF: proof, DIGEST: digest, **({CAPABILITY: f"DPoP {capability}"} if capability else {})}
        return await self._session.post(
            URL(url, encoded=True), data=body, headers={**headers, **shown}, allow_redirects=False
        )

    async def _handed_on(
        self, request: web.BaseRequest, path: str, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        if path == _PULL and answer.status == 200:
            self._announced(answer, or_none=True)
            if self._round is not None and await self._capability(_FETCH) is None:
                # In Flower's words: there is no message.
                return web.Response(content_type="application/protobuf")
        if path == _FETCH and answer.status == 403:
            # In Flower's words: there is no such object. The SuperNode then ends what it has begun for the message.
            return web.Response(content_type="application/protobuf")
        response = web.StreamResponse(status=answer.status, headers=passed_on(answer.headers))
        response.content_length = answer.content_length
        await response.prepare(request)
        async for piece in answer.content.iter_chunked(_PIECE):
            await response.write(piece)
        await response.write_eof()
        return response

    def _announced(self, answer: aiohttp.ClientResponse, *, or_none: bool = False) -> AnnouncedRound | None:
        """Return the round that an answer names, and remember it."""
        found = AnnouncedRound.from_header(answer.headers.get(ROUND, ""))
        if found is not None or or_none:
            self._round = found
        return found

    async def _capability(self, path: str) -> str | None:
        """Return the capability that a call needs, or none when it needs none or there is none to be had."""
        announced = self._round
        if announced is None or not (path == _FETCH or (path == _PUSH and announced.stage == "train")):
            return None
        try:
            grant = await self._asked(announced, is_pull=path == _FETCH)
        except ControlPlaneError as error:
            _log.warning("no capability for %s can be had now: %s", announced.terms.round_id, error)
            return None
        if grant.capability is None:
            causes = ", ".join(reason.code for reason in grant.reasons)
            _log.warning("policy denies a capability for %s: %s", announced.terms.round_id, causes)
            return None
        return grant.capability.access_token

    async def _asked(self, announced: AnnouncedRound, *, is_pull: bool) -> Grant:
        terms = announced.terms
        if is_pull:
            weights = Resource(type="model", id=terms.model, properties=ResourceProperties(digest=terms.model_digest))
            context = CapabilityContext(purpose="training", round_id=terms.round_id)
            return await self._capabilities.get("model_access", weights, terms.audience, context)
        model, context = Resource(type="model", id=terms.model), CapabilityContext(round_id=terms.round_id)
        return await self._capabilities.get("gradient_submission", model, terms.audience, context)


@asynccontextmanager
async def listening(
    forwarder: Forwarder, address: tuple[str, int], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Listen for the SuperNode for as long as the context is entered, and give the URL.

    Raises:
        OSError: the address cannot be had.
    """
    http = web.Server(forwarder.answer, auto_decompress=False, access_log=None)
    listener = await asyncio.get_running_loop().create_server(http, *address, ssl=tls)
    host, port = address[0], listener.sockets[0].getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"{'http' if tls is None else 'https'}://{shown}:{port}"
    finally:
        listener.close()
        await http.shutdown(_CLOSE_SECONDS)
