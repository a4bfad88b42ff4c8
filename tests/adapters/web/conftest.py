"""A guarded endpoint on a real socket, under aiohttp and under uvicorn, and an issuer whose keys it fetches."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from aiohttp import web

from adapters.web import EnforcementPoint, Rule
from adapters.web import aiohttp as under_aiohttp
from adapters.web import asgi as under_asgi
from adapters.web.admission import Admitted
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import ActionName
from controlplane.contracts.capability import AuthorizationDetail, Constraints
from controlplane.jose.keys import DeviceKey, SigningKey, jwks
from tests.clocks import Clock

AUDIENCE = "models-1"
PUBLIC_URL = "https://models.example/api"
"""Where callers think that they are; a proxy that takes /api away stands in front."""

START = 1_767_225_600.0
DIGEST = "sha256:" + "d" * 64

RULES = (
    Rule("inference", "intents", "/v1/infer", ("POST", "HEAD", "OPTIONS"), max_body_bytes=1000),
    Rule("model_access", None, "/models/{resource}/{digest}", ("GET", "HEAD"), purpose="serving"),
    Rule("gradient_submission", "intents", "/rounds/{round}", ("POST",), max_body_bytes=1000),
)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def challenge(self) -> str:
        return self.headers.get("www-authenticate", "")


@dataclass
class Issuer:
    """Publishes keys over HTTP, and signs what it is told to."""

    clock: Clock
    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey.generate()])
    url: str = ""
    fetched: int = 0
    fresh_seconds: int = 60
    is_reachable: bool = True

    async def publish(self, _request: web.Request) -> web.Response:
        self.fetched += 1
        if not self.is_reachable:
            return web.Response(status=503)
        return web.json_response(jwks(self.keys), headers={"Cache-Control": f"max-age={self.fresh_seconds}"})

    def mint(
        self,
        device: DeviceKey,
        action: ActionName = "inference",
        resource: str = "intents",
        *,
        audience: str = AUDIENCE,
        ttl: float = 60.0,
        issuer: str = "",
        key: SigningKey | None = None,
        resource_type: str = "model",
        **constraints: Any,
    ) -> str:
        detail = AuthorizationDetail(
            type="ztfm",
            action=action,
            resource_type=resource_type,
            resource_id=resource,
            constraints=Constraints(**constraints),
        )
        signing = key or self.keys[0]
        minter = Minter(lambda: signing, issuer or self.url, self.clock)
        name = f"dev-{device.thumbprint}"
        token, _ = minter.mint(name, device.thumbprint, audience, detail, "dec-1", "rev-1", ttl)
        return token


@dataclass
class Endpoint:
    """The guarded endpoint, and what its application saw."""

    port: int
    device: DeviceKey
    issuer: Issuer
    clock: Clock
    point: EnforcementPoint
    seen: list[Admitted]
    outcomes: Counter[tuple[str, str]]

    def proof(self, token: str | None, method: str = "POST", path: str = "/v1/infer", **changes: Any) -> str:
        stated = {"key": self.device, "url": PUBLIC_URL + path, "now": self.clock(), "access_token": token, **changes}
        return make_proof(stated.pop("key"), method=method, **stated)

    async def call(
        self, token: str, method: str = "POST", path: str = "/v1/infer", body: bytes = b"", **changes: Any
    ) -> Reply:
        """Send a request as the holder of the capability does."""
        proof = self.proof(token, method, path, **changes)
        return await self.send(method, path, [("Authorization", f"DPoP {token}"), ("DPoP", proof)], body)

    async def send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", host: str = "x"
    ) -> Reply:
        """Send a request as it stands, and return the whole answer."""
        names = {name.lower() for name, _ in headers}
        sized = [] if {"content-length", "transfer-encoding"} & names else [("Content-Length", str(len(body)))]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in [*headers, *sized]]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        try:
            async with asyncio.timeout(10):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.strip().split("\r\n")
                found = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
                size = 0 if method == "HEAD" else int(found["content-length"])
                return Reply(int(first.split()[1]), found, await reader.readexactly(size))
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def publishing(clock: Clock) -> AsyncIterator[Issuer]:
    """Run an issuer."""
    issuer = Issuer(clock)
    app = web.Application()
    app.router.add_get("/.well-known/jwks.json", issuer.publish)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_aiohttp(point: EnforcementPoint, seen: list[Admitted]) -> AsyncIterator[int]:
    """Run the application under aiohttp."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/healthz":
            return web.Response(text="ok")
        seen.append(under_aiohttp.capability_of(request))
        await request.read()
        return web.Response(body=b"w" * 500)

    app = web.Application()
    under_aiohttp.guard(app, point)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_asgi(point: EnforcementPoint, seen: list[Admitted]) -> AsyncIterator[int]:
    """Run the application under uvicorn."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": f"{message['type']}.complete"})
            return
        if scope["path"] != "/healthz":
            seen.append(under_asgi.capability_of(scope))
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"500")]})
        await send({"type": "http.response.body", "body": b"w" * 500})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(under_asgi.Guarded(app, point), log_config=None, lifespan="on", ws="none")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def guarding(kind: str, issuer: Issuer | None = None, **options: Any) -> AsyncIterator[Endpoint]:
    """Run a guarded endpoint, with options of the enforcement point."""
    clock = issuer.clock if issuer else Clock()
    seen, outcomes = list[Admitted](), Counter[tuple[str, str]]()
    async with AsyncExitStack() as stack:
        issuer = issuer or await stack.enter_async_context(publishing(clock))
        point = EnforcementPoint(
            issuer.url,
            audience=AUDIENCE,
            public_url=PUBLIC_URL,
            clock=clock,
            on_outcome=lambda action, outcome: outcomes.update([(action, outcome)]),
            **{"rules": RULES, "exempt": {"/healthz"}, **options},
        )
        serving = serving_aiohttp if kind == "aiohttp" else serving_asgi
        port = await stack.enter_async_context(serving(point, seen))
        yield Endpoint(port, DeviceKey.generate(), issuer, clock, point, seen, outcomes)


@pytest.fixture(params=["aiohttp", "asgi"])
async def endpoint(request: pytest.FixtureRequest) -> AsyncIterator[Endpoint]:
    """A guarded endpoint, under each framework."""
    async with guarding(request.param) as found:
        yield found
