"""A collector of traces on loopback: it takes OTLP over HTTP, as it was specified, and keeps what it was sent."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support import wait_until


@dataclass(frozen=True)
class Received:
    """A span as it came.

    Attributes:
        links: ids of the spans that it is linked to.
        resource: what it says of the process that it comes from.
        kind: as OTLP numbers it: 1 internal, 2 server, 3 client.
        failed: its status is that of an error.
    """

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    links: frozenset[str]
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What was received.

    Attributes:
        url: base URL.
        raw: bodies, as they came.
        headers: of each request.
        spans: in all of them.
        status: what is answered.
        stalls: nothing is answered.
    """

    url: str = ""
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[Received] = field(default_factory=list)
    status: int = 200
    stalls: bool = False

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.stalls:
            await asyncio.sleep(60)
        if self.status == 200:
            assert request.content_type == "application/x-protobuf"
            self.raw.append(body)
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self.spans += _read(body)
        return web.Response(status=self.status, body=b"", content_type="application/x-protobuf")

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def await_spans(self, *names: str, seconds: float = 20.0) -> list[Received]:
        """Return the first span of each name, once there is one."""
        wait_until(lambda: all(self.named(name) for name in names), seconds, f"spans {names}")
        return [self.named(name)[0] for name in names]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a loop and a thread of its own."""
    found, loop, stop, ready = Collector(), asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/traces", found.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work, name="collector")
    thread.start()
    assert ready.wait(10)
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def _read(body: bytes) -> list[Received]:
    message = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            span.status.code == 2,
            frozenset(link.span_id.hex() for link in span.links),
            _plain(span.attributes),
            _plain(group.resource.attributes),
        )
        for group in message.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
        if span.end_time_unix_nano >= span.start_time_unix_nano > time.time_ns() - 600 * 10**9
    ]


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}
