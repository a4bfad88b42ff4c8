"""Requests carry the span of whoever traces their own program, and of nobody else."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping

import pytest
from aiohttp import web
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from adapters.tracing import trace_headers
from adapters.transport import Transport


def tracer(sampler: Sampler = ALWAYS_ON) -> trace.Tracer:
    return TracerProvider(sampler, Resource({}), shutdown_on_exit=False).get_tracer("device")


async def received(headers: Mapping[str, str], **around: str) -> Mapping[str, str]:
    """Return what a server sees of a request with these headers."""
    seen: list[Mapping[str, str]] = []

    async def respond(request: web.Request) -> web.Response:
        seen.append(request.headers.copy())
        return web.Response()

    app = web.Application()
    app.router.add_get("/", respond)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    transport = Transport()
    try:
        await transport.send("GET", f"http://127.0.0.1:{runner.addresses[0][1]}/", None, lambda: headers)
    finally:
        await transport.close()
        await runner.cleanup()
    return seen[0]


def test_without_a_span_nothing_is_added() -> None:
    assert trace_headers() == {}
    assert "traceparent" not in asyncio.run(received({}))


@pytest.mark.parametrize(("sampler", "flags"), [(ALWAYS_ON, "03"), (ALWAYS_OFF, "02")])
async def test_a_request_carries_the_span_that_is_current_and_whether_it_is_recorded(
    sampler: Sampler, flags: str
) -> None:
    with tracer(sampler).start_as_current_span("own") as own:
        seen = await received({"DPoP": "proof"})
    stated = own.get_span_context()
    assert seen["traceparent"] == f"00-{stated.trace_id:032x}-{stated.span_id:016x}-{flags}"
    assert seen["DPoP"] == "proof"


async def test_baggage_stays_with_its_owner() -> None:
    token = context.attach(baggage.set_baggage("patient", "name"))
    try:
        with tracer().start_as_current_span("own"):
            assert "baggage" not in await received({})
    finally:
        context.detach(token)


def test_who_does_not_trace_loads_nothing_for_it() -> None:
    program = (
        "import sys; from adapters.client import ControlPlane; from adapters.tracing import trace_headers;"
        "assert trace_headers() == {}; assert not [n for n in sys.modules if n.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
