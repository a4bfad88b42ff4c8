"""The load generator counts what it sent, once each, and tells the slow from the fast."""

import asyncio

import pytest
from aiohttp import web

from benchmarks.load import Load, drive, encode
from benchmarks.pace import drive_at


async def _serve(handler: web.RequestHandler) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_post("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def test_every_request_is_sent_once_and_every_status_is_counted() -> None:
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read())
        return web.Response(status=201 if len(seen) % 2 else 403, text="x" * 70_000)

    runner, port = await _serve(answer)
    try:
        requests = [encode("/", str(index).encode(), {"X-Any": "1"}) for index in range(25)]
        load = await drive("127.0.0.1", port, requests, connections=4)
    finally:
        await runner.cleanup()
    assert sorted(seen, key=int) == [str(index).encode() for index in range(25)]
    assert load.requests == 25
    assert load.statuses == {201: 13, 403: 12}
    assert len(load.latencies) == 25


async def test_a_slow_answer_shows_in_the_last_percentile_and_not_in_the_median() -> None:
    async def answer(request: web.Request) -> web.Response:
        if await request.read() == b"0":
            await asyncio.sleep(0.3)
        return web.Response()

    runner, port = await _serve(answer)
    try:
        load = await drive("127.0.0.1", port, [encode("/", str(n).encode(), {}) for n in range(50)], connections=2)
    finally:
        await runner.cleanup()
    assert load.percentile(0.99) >= 0.3
    assert load.percentile(0.5) < 0.3


async def test_a_server_that_hangs_up_is_an_error_and_not_a_figure() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    runner, port = await _serve(answer)
    try:
        with pytest.raises(ConnectionError):
            await drive("127.0.0.1", port, [encode("/", b"", {})], connections=1)
    finally:
        await runner.cleanup()


def test_the_rate_is_requests_over_time() -> None:
    assert Load(10, 2.0, [0.1] * 10, {200: 10}).rate == 5.0


async def test_at_a_rate_requests_go_out_although_earlier_ones_are_not_answered() -> None:
    gate, seen = asyncio.Event(), []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read())
        if len(seen) == 4:
            gate.set()
        await gate.wait()
        return web.Response()

    runner, port = await _serve(answer)
    try:
        requests = [encode("/", str(number).encode(), {}) for number in range(6)]
        # A closed loop over one connection would wait for ever for the first answer.
        load = await drive_at(200.0, "127.0.0.1", port, requests, connections=4)
    finally:
        await runner.cleanup()
    assert load.statuses == {200: 6}
    assert sorted(seen) == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_waiting_for_a_free_connection_counts_as_latency() -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response()

    runner, port = await _serve(answer)
    try:
        load = await drive_at(1000.0, "127.0.0.1", port, [encode("/", b"", {})] * 6, connections=1)
    finally:
        await runner.cleanup()
    assert load.percentile(0.99) >= 0.25
    assert load.latencies[0] < load.percentile(0.99) / 2


async def test_at_a_rate_a_server_that_hangs_up_is_an_error() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    runner, port = await _serve(answer)
    try:
        with pytest.raises(ConnectionError):
            await drive_at(100.0, "127.0.0.1", port, [encode("/", b"", {})] * 3, connections=1)
    finally:
        await runner.cleanup()
