"""A relay between an enforcement point and a control plane that a test can cut, stall, or make lie."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from adapters.client import ControlPlane
from adapters.feed import RevocationFeed
from adapters.transport import HttpAnswer, Transport
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints
from controlplane.decisions.ids import new_id
from controlplane.jose.keys import DeviceKey
from tests.support import MODEL, Caller
from tests.support import ControlPlane as Plane


@dataclass
class Relay:
    """Carries bytes between a socket of its own and the control plane.

    Attributes:
        is_open: connections are taken; false refuses them.
        flows: while it is not set, what the control plane sends is taken in and not passed on.
        alter: changes what the control plane sends.
    """

    url: str
    is_open: bool = True
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    alter: Callable[[bytes], bytes] = field(default=lambda data: data)
    connections: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    port: int = 0

    def cut(self) -> None:
        """End all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        self.connections += 1
        host = urlsplit(self.url)
        behind_reader, behind_writer = await asyncio.open_connection(host.hostname, host.port)
        self._writers |= {writer, behind_writer}
        try:
            await asyncio.gather(self._pump(reader, behind_writer), self._pump(behind_reader, writer, is_answer=True))
        except (ConnectionError, OSError):
            pass
        finally:
            self._writers -= {writer, behind_writer}
            for one in (writer, behind_writer):
                one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        while data := await reader.read(65_536):
            if is_answer:
                await self.flows.wait()
            writer.write(self.alter(data) if is_answer else data)
            await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[Relay]:
    """A relay to the control plane at ``url``."""
    relay = Relay(url)
    relay.flows.set()
    server = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        relay.cut()
        await until(lambda: not relay._writers, what="the relay's connections ended")


class Through(ControlPlane):
    """A client that connects to ``address`` (host and port); its proofs name the control plane at ``url``."""

    def __init__(self, url: str, key: DeviceKey, address: str, timeout_seconds: float = 3.0) -> None:
        super().__init__(url, key, timeout_seconds=timeout_seconds)
        self._transport = Diverted(url, f"http://{address}", timeout_seconds)


class Diverted(Transport):
    """Connects elsewhere than the URL says, as a proxy or a load balancer makes callers do."""

    def __init__(self, url: str, own: str, timeout_seconds: float) -> None:
        super().__init__(timeout_seconds)
        self._url, self._own = url, own

    async def send(
        self, method: str, url: str, body: bytes | None, headers: Callable[[], Mapping[str, str]], **options: Any
    ) -> HttpAnswer:
        return await super().send(method, url.replace(self._url, self._own), body, headers, **options)

    def stream(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return super().stream(url.replace(self._url, self._own), headers)


@asynccontextmanager
async def listening(url: str, key: DeviceKey, **options: Any) -> AsyncIterator[tuple[Relay, RevocationFeed]]:
    """A feed that has heard from the control plane at ``url``, through a relay."""
    async with (
        relayed(url) as relay,
        Through(url, key, f"127.0.0.1:{relay.port}") as client,
        RevocationFeed(client, **options) as feed,
    ):
        assert await feed.ready(5.0), feed.ignored
        yield relay, feed


def capability_of(plane: Plane, device: Caller, *, ttl: float = 300.0) -> tuple[str, CapabilityClaims, str]:
    """Return a capability of ``device``, its claims, and the key that signed it."""
    services = plane.services
    detail = AuthorizationDetail(
        type="ztfm",
        action="inference",
        resource_type="model",
        resource_id=MODEL,
        constraints=Constraints(),
    )
    decision = new_id("dec", services.clock())
    token, claims = services.capabilities.minter.mint(
        device.id, device.key.thumbprint, "aggregator-1", detail, decision, "rev-1", ttl
    )
    return token, claims, services.capabilities.keys.ring.current().kid


async def until(claim: Callable[[], bool], seconds: float = 10.0, what: str = "") -> float:
    """Return after how many seconds ``claim`` holds; fail when it does not in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not claim():
        assert loop.time() - began < seconds, f"not within {seconds} s: {what or claim}"
        await asyncio.sleep(0.005)
    return loop.time() - began


def tamper(data: bytes) -> bytes:
    """Return an answer in which the signature of each security event was changed."""
    return re.sub(rb"(event: security-event\ndata: [^\n]+\.)([^\n.])", lambda found: found[1] + other(found[2]), data)


def other(character: bytes) -> bytes:
    """Return another character of base64url."""
    return b"B" if character == b"A" else b"A"
