"""A proxy from Debian between a client and an upstream that remembers what it saw, and the authorizer beside it."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.gateway.authorizing import Authorizer, Kept
from adapters.gateway.dialects import DIALECTS
from adapters.gateway.interfaces import Budgets
from adapters.gateway.serving import Question, Service, serving
from adapters.web import EnforcementPoint, Rule
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from tests.adapters.listening import until
from tests.adapters.web.conftest import AUDIENCE, Issuer, publishing
from tests.clocks import Clock
from tests.servers.ports import free_port

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "gateway"
PUBLIC_URL = "https://models.example"
MODEL = "smart-home-intents"
KEEPS: tuple[Kept, ...] = ("max_output_tokens", "detail")
RULES = (
    Rule("inference", MODEL, "/v1/infer", ("POST",), max_body_bytes=1000),
    Rule("inference", None, "/models/{resource}", ("GET",)),
)


@dataclass(frozen=True)
class Seen:
    """A request as the upstream got it."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return what it has under a name, as an application reads it that takes underscores for hyphens."""
        return [value for found, value in self.headers if found.lower().replace("_", "-") == name.lower()]


@dataclass(frozen=True)
class Reply:
    """An answer as the client got it."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Lab:
    """What a test has in hand."""

    dialect: str
    port: int
    issuer: Issuer
    point: EnforcementPoint
    device: DeviceKey
    seen: list[Seen]
    outcomes: Counter[tuple[str, str]]
    address: str
    stop_authorizer: Callable[[], Any] = field(default=lambda: None)

    def token(self, **changes: Any) -> str:
        """Mint a capability for an inference."""
        return self.issuer.mint(
            self.device, **{"resource": MODEL, "detail": "full", "max_output_tokens": 64, **changes}
        )

    def shown(self, token: str, method: str = "POST", path: str = "/v1/infer", **changes: Any) -> list[tuple[str, str]]:
        """Return the headers of who holds a capability."""
        stated = {"url": PUBLIC_URL + path, "now": self.issuer.clock(), "access_token": token, **changes}
        return [("Authorization", f"DPoP {token}"), ("DPoP", make_proof(self.device, method=method, **stated))]

    async def call(self, token: str, method: str = "POST", path: str = "/v1/infer", body: bytes = b"x") -> Reply:
        """Ask as the holder of a capability does."""
        return await self.send(method, path, self.shown(token, method, path), body)

    async def send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", host: str = "x"
    ) -> Reply:
        """Send a request as it stands; the length is added where nothing else says it."""
        names = {name.lower() for name, _ in headers}
        sized = [] if {"content-length", "transfer-encoding"} & names else [("Content-Length", str(len(body)))]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in [*headers, *sized]]
        if "connection" not in names:
            lines.append("Connection: close")
        return await self.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    @asynccontextmanager
    async def impostor(
        self, answers: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]
    ) -> AsyncIterator[None]:
        """Put something else in the place of the authorizer."""
        await self.stop_authorizer()
        if self.address.startswith("/"):
            server = await asyncio.start_unix_server(answers, self.address)
        else:
            host, _, port = self.address.rpartition(":")
            server = await asyncio.start_server(answers, host, int(port))
        try:
            yield
        finally:
            server.close()

    async def raw(self, data: bytes) -> Reply:
        """Send bytes, and return the first answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            async with asyncio.timeout(10):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *rest = head.strip().split("\r\n")
                found = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
                if "content-length" in found:
                    body = await reader.readexactly(int(found["content-length"]))
                else:
                    body = await reader.read(100_000)
                return Reply(int(first.split()[1]), found, body)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def upstream(seen: list[Seen]) -> AsyncIterator[int]:
    """Run a model server that remembers requests."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
        seen.append(Seen(request.method, request.raw_path, headers, await request.read()))
        if "x-stream" in request.headers:
            return await _stream(request, seen)
        return web.Response(status=int(request.headers.get("x-answer", "200")), body=b'"answered"')

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _stream(request: web.BaseRequest, seen: list[Seen]) -> web.StreamResponse:
    """Send an event, and the next one when the test has emptied what was seen: when the first one has come."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"data: one\n\n")
    await until(lambda: not seen, what="the first event came")
    await answer.write(b"data: two\n\n")
    await answer.write_eof()
    return answer


def placed(example: Path, folder: Path, changes: dict[str, str]) -> Path:
    """Copy an example with its addresses changed, each of which has to be in it."""
    text = example.read_text()
    for before, after in changes.items():
        assert before in text, f"{example} has no {before!r}"
        text = text.replace(before, after)
    made = folder / example.name
    made.write_text(text)
    return made


Runs = Callable[..., AbstractContextManager[None]]
"""Runs a proxy in a folder, on a port, before an upstream's port. The authorizer beside it listens on a socket's path,
or on host and port; changes of the proxy's configuration may follow."""


@asynccontextmanager
async def behind(
    dialect: str,
    folder: Path,
    runs: Runs,
    *,
    keeps: Sequence[Kept] = KEEPS,
    budgets: Budgets | None = None,
    largest_body: int | None = None,
    **options: Any,
) -> AsyncIterator[Lab]:
    """Run issuer, upstream, authorizer and proxy."""
    seen, outcomes, clock = list[Seen](), Counter[tuple[str, str]](), Clock(time.time())
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(publishing(clock))
        behind_port = await stack.enter_async_context(upstream(seen))
        point = EnforcementPoint(
            issuer.url,
            audience=AUDIENCE,
            public_url=PUBLIC_URL,
            clock=clock,
            on_outcome=lambda action, outcome: outcomes.update([(action, outcome)]),
            **{"rules": RULES, "exempt": ("/healthz",), **options},
        )
        stack.push_async_callback(point.close)
        await point.start()
        question = Question(DIALECTS[dialect], point.takes_certificates, largest_body)
        service = Service(Authorizer(point, keeps=keeps, budgets=budgets), question, clock)
        authorizer = await stack.enter_async_context(AsyncExitStack())
        # Traefik asks over TCP alone.
        listening = serving(service) if dialect == "traefik" else serving(service, socket=folder / "authorize.sock")
        address = await authorizer.enter_async_context(listening)
        port = free_port()
        where = address.removeprefix("unix:").removeprefix("http://")
        with await asyncio.to_thread(_entered, runs(folder, where, port, behind_port)):
            # What was asked to see whether it is ready.
            seen.clear()
            outcomes.clear()
            yield Lab(dialect, port, issuer, point, DeviceKey.generate(), seen, outcomes, where, authorizer.aclose)


@contextmanager
def _left(entered: AbstractContextManager[None]) -> Iterator[None]:
    try:
        yield
    finally:
        entered.__exit__(None, None, None)


def _entered(manager: AbstractContextManager[None]) -> AbstractContextManager[None]:
    manager.__enter__()
    return _left(manager)


def is_told(seen: Seen, device: DeviceKey) -> bool:
    """Whether the upstream was told who asks, and nothing that it could use itself."""
    hidden = [name for name, value in seen.headers if re.search(r"authorization|dpop", name, re.IGNORECASE) and value]
    return not hidden and seen.values("ztfm-subject") == [f"dev-{device.thumbprint}"]
