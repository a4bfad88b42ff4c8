"""The proxy on a real socket before a real upstream, with budgets and a judge that live in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from adapters.gateway.interfaces import Denied, Direction, Exhausted, Reservation, Terms
from adapters.gateway.proxy import HEALTH, Limits, OpenAi, Parts, Served, Upstream, by_rule, opened
from adapters.gateway.proxy.opening import Api
from adapters.gateway.proxy.shaping import Shaper, Withholding
from adapters.web import Admitted, EnforcementPoint
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.revocations import RevocationState, Standing
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.events import Revocation
from controlplane.jose.jws import decode_segment, parse_object
from controlplane.jose.keys import DeviceKey
from tests.adapters.web.conftest import AUDIENCE, Issuer, Reply, publishing
from tests.clocks import Clock

PUBLIC_URL = "https://models.example"
MODEL = "intents"
CHAT = "/v1/chat/completions"
PROMPT = {"model": MODEL, "messages": [{"role": "user", "content": "turn on the light"}]}


@dataclass
class Book:
    """Budgets of one subject, kept in this process: what is spent and reserved never exceeds the total."""

    total: int = 100_000
    spent: int = 0
    reserved: dict[str, int] = field(default_factory=dict)
    settled: list[int] = field(default_factory=list)
    requests: int = 0
    short: Exhausted | None = None
    before: Callable[[], Awaitable[None]] | None = None

    async def reserve(self, _admitted: Admitted, prompt_tokens: int, max_output_tokens: int) -> Reservation | Exhausted:
        if self.before is not None:
            await self.before()
        tokens = prompt_tokens + max_output_tokens
        if self.short is not None or self.spent + sum(self.reserved.values()) + tokens > self.total:
            return self.short or Exhausted("subject", 7.2)
        self.requests += 1
        taken = Reservation(f"r-{self.requests}", tokens, 2e9)
        self.reserved[taken.id] = tokens
        return taken

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        self.reserved.pop(reservation.id)
        self.spent += tokens
        self.settled.append(tokens)

    @property
    def is_even(self) -> bool:
        """Whether every reservation was settled, and once."""
        return not self.reserved and len(self.settled) == self.requests


@dataclass
class Rulebook:
    """Judges by a word: what says it is denied, or has the terms that a test gives."""

    word: str = "forbidden"
    terms: Terms = field(default_factory=lambda: Terms("dec-content"))
    denied: Denied = field(default_factory=lambda: Denied("dec-no", ["content_clean"], 403, "Leave the word out."))
    on: dict[Direction, Terms] = field(default_factory=dict)
    seen: list[tuple[Direction, tuple[str, ...]]] = field(default_factory=list)

    async def judge(self, _admitted: Admitted, direction: Direction, texts: Sequence[str]) -> Terms | Denied:
        self.seen.append((direction, tuple(texts)))
        if any(self.word in text for text in texts):
            return self.denied
        return self.on.get(direction, self.terms)


class Known:
    """Revocations as a control plane's, without one."""

    def __init__(self, clock: Clock) -> None:
        self.state = RevocationState(clock, lambda: 0.0)
        self._clock = clock

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        return self.state.standing(claims, kid)

    async def start(self, _wait_seconds: float = 0.0) -> bool:
        self.state.hear()
        return True

    async def close(self) -> None:
        return None

    def revoke(self, kind: Any, value: str) -> None:
        now = self._clock()
        self.state.add(Revocation(kind=kind, value=value, revoked_at=now, expires_at=now + 600))


@dataclass
class Model:
    """The upstream: what it answers, and what it got."""

    url: str = ""
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)
    running: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        self.seen.append((request.method, request.raw_path, headers, await request.read()))
        self.running += 1
        try:
            if self.answer is not None:
                return await self.answer(request)
            return web.json_response(completion("it is on"))
        finally:
            self.running -= 1
            self.ended.set()

    def header(self, name: str) -> list[str]:
        """The values that the last request had under a name."""
        return [value for found, value in self.seen[-1][2] if found == name]

    @property
    def asked(self) -> Any:
        """The document that came last."""
        return json.loads(self.seen[-1][3])


def completion(text: str, prompt: int = 5, output: int = 3, **choice: Any) -> dict[str, Any]:
    """A chat completion with its usage."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output},
    }


def chunk(text: str | None, *, finish: str | None = None, index: int = 0) -> bytes:
    """An event of a streamed chat completion."""
    delta = {} if text is None else {"content": text}
    document = {
        "object": "chat.completion.chunk",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(document)}\n\n".encode()


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}\n\n'
DONE = b"data: [DONE]\n\n"


async def streamed(
    request: web.Request, pieces: Iterable[bytes], kind: str = "text/event-stream"
) -> web.StreamResponse:
    """Answer piece by piece."""
    answer = web.StreamResponse(headers={"Content-Type": kind})
    await answer.prepare(request)
    for piece in pieces:
        await answer.write(piece)
    await answer.write_eof()
    return answer


@dataclass
class Stream:
    """A running answer: its head, and its body as it comes."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def piece(self) -> bytes:
        """The next chunk; empty for HTTP's own end of an answer."""
        size = int((await self.reader.readuntil(b"\r\n")).strip() or b"0", 16)
        piece = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return piece

    async def rest(self) -> tuple[bytes, bool]:
        """All that is left, and whether the answer came to HTTP's own end."""
        found = b""
        try:
            while piece := await self.piece():
                found += piece
        except (asyncio.IncompleteReadError, ConnectionError):
            return found, False
        return found, True

    def close(self) -> None:
        self.writer.close()


@dataclass
class Bench:
    """The proxy, and everything around it."""

    port: int
    clock: Clock
    issuer: Issuer
    device: DeviceKey
    model: Model
    book: Book
    judge: Rulebook
    known: Known
    parts: Parts
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    def mint(self, device: DeviceKey | None = None, resource: str = MODEL, **constraints: Any) -> str:
        stated = {"max_output_tokens": 64, "detail": "full", "ttl": 300.0, **constraints}
        return self.issuer.mint(device or self.device, resource=resource, **stated)

    def claims(self, token: str) -> CapabilityClaims:
        """What a capability says."""
        return CapabilityClaims.model_validate(parse_object(decode_segment(token.split(".")[1].encode())))

    def shown(self, token: str, method: str = "POST", path: str = CHAT) -> list[tuple[str, str]]:
        proof = make_proof(self.device, method=method, url=PUBLIC_URL + path, now=self.clock(), access_token=token)
        return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]

    async def stream(
        self,
        body: Any = None,
        path: str = CHAT,
        token: str | None = None,
        *,
        method: str = "POST",
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
        raw: bytes | None = None,
    ) -> Stream:
        """Send a request as the holder of a capability does, and return its answer with the body still to come."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        shown = self.shown(token or self.mint(), method, path)
        kind = (
            [] if any(name.lower() == "content-type" for name, _ in headers) else [("Content-Type", "application/json")]
        )
        return await self.send(method, path + query, [*shown, *kind, *headers], content)

    async def send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes = b"", *, sized: bool = True
    ) -> Stream:
        lines = [f"{method} {target} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers)]
        if sized:
            lines.append(f"Content-Length: {len(body)}")
        return await self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    async def raw(self, sent: bytes) -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.open.append(writer)
        writer.write(sent)
        async with asyncio.timeout(10):
            return await read_head(reader, writer)

    async def call(self, body: Any = None, path: str = CHAT, token: str | None = None, **options: Any) -> Reply:
        """Send a request, and return the whole answer."""
        stream = await self.stream(body, path, token, **options)
        async with asyncio.timeout(10):
            return await read_whole(stream)


async def read_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Stream:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *rest = head.strip().split("\r\n")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return Stream(int(first.split()[1]), found, reader, writer)


async def read_whole(stream: Stream) -> Reply:
    if "content-length" in stream.headers:
        body = await stream.reader.readexactly(int(stream.headers["content-length"]))
    else:
        body, is_whole = await stream.rest()
        assert is_whole, "the answer was cut"
    stream.close()
    return Reply(stream.status, stream.headers, body)


@asynccontextmanager
async def modelling() -> AsyncIterator[Model]:
    """Run an upstream."""
    model = Model()
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", model.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield model
    finally:
        await runner.cleanup()


@asynccontextmanager
async def proxying(
    api: Api | None = None,
    models: Sequence[Served] = (Served(MODEL),),
    limits: Limits | None = None,
    shaper: Shaper | None = None,
    upstream: str | None = None,
    **options: Any,
) -> AsyncIterator[Bench]:
    """Run the proxy, with options of its parts."""
    clock, limits = Clock(), limits or Limits()
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(publishing(clock))
        model = await stack.enter_async_context(modelling())
        endpoints = by_rule((api or OpenAi()).endpoints(models, limits))
        known, book, judge = Known(clock), Book(), Rulebook()
        point = EnforcementPoint(
            issuer.url,
            audience=AUDIENCE,
            public_url=PUBLIC_URL,
            rules=list(endpoints),
            exempt={HEALTH},
            revocations=known,
            clock=clock,
        )
        to = Upstream(upstream or model.url, limits)
        parts = Parts(point, endpoints, to, book, judge, shaper or Withholding(), limits)
        parts = replace(parts, **options)
        url = await stack.enter_async_context(opened(parts))
        port = int(url.rpartition(":")[2])
        found = Bench(port, clock, issuer, DeviceKey.generate(), model, book, judge, known, parts)
        try:
            yield found
        finally:
            for writer in found.open:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in found.open), return_exceptions=True)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """The proxy before one model that speaks as OpenAI's do."""
    async with proxying() as found:
        yield found


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
