"""One request, over TCP and over a Unix socket: within its time, in bounds, and twice only when nothing left."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from adapters.client import ControlPlane, SyncControlPlane
from adapters.errors import ControlPlaneError, TimedOut, Unauthenticated, Unavailable, Unreachable
from adapters.transport import Transport
from controlplane.capabilities.proof import Proof, examine
from controlplane.contracts.rounds import RoundRequest
from controlplane.jose.keys import DeviceKey

URL = "https://control.example"
"""Not an address that could be reached: the socket is."""


async def hung_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def ready(request: web.Request) -> web.Response:
    told = {"policy_revision": request.host, "policy_age_seconds": None, "policies": []}
    return web.json_response({"ready": True, "engine": "opa", "checks": {}, **told})


@pytest.mark.parametrize("is_sync", [False, True])
async def test_a_control_plane_is_reached_over_a_unix_socket_under_its_public_url(is_sync: bool) -> None:
    proofs: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        proofs.append(request.headers["DPoP"])
        return web.Response(status=404)

    with TemporaryDirectory(prefix="ztfm-") as folder:
        app = web.Application()
        app.router.add_get("/readyz", ready)
        app.router.add_get("/v1/devices/dev-a", refuse)
        runner = web.AppRunner(app)
        await runner.setup()
        path = Path(folder) / "control.sock"
        await web.UnixSite(runner, str(path)).start()
        key = DeviceKey.generate()
        try:
            if is_sync:
                with SyncControlPlane(URL, key, socket=path) as client:
                    assert (await asyncio.to_thread(client.readiness)).policy_revision == "control.example"
            else:
                async with ControlPlane(URL, key, socket=path) as client_:
                    assert (await client_.readiness()).ready
                    with pytest.raises(ControlPlaneError):
                        await client_.device("dev-a")
                verdict = examine(proofs[0], method="GET", url=f"{URL}/v1/devices/dev-a", now=time.time())
                assert isinstance(verdict, Proof)
        finally:
            await runner.cleanup()


async def test_a_socket_that_nobody_listens_on_is_unreachable(tmp_path: Path) -> None:
    async with ControlPlane(URL, DeviceKey.generate(), socket=tmp_path / "none.sock") as client:
        with pytest.raises(Unreachable) as caught:
            await client.readiness()
    assert caught.value.is_untouched


async def test_the_whole_time_bounds_both_tries_and_a_slow_answer() -> None:
    given_up = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            await hung_up(writer)
            given_up.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = Transport(timeout_seconds=0.4)
    started = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        await transport.send("GET", url, None, dict)
    assert 0.3 < time.monotonic() - started < 2.0
    assert isinstance(caught.value, Unavailable)
    assert not caught.value.is_untouched
    await transport.close()
    await given_up.wait()
    server.close()
    await server.wait_closed()


async def test_a_connection_that_breaks_off_is_not_tried_again() -> None:
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        await hung_up(writer)

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = Transport()
    with pytest.raises(Unavailable) as caught:
        await transport.send("POST", url, b"{}", dict)
    assert (asked, type(caught.value)) == (1, Unavailable)
    await transport.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("times", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_there_is_no_call_without_a_time_limit(times: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="time limit"):
        Transport(*times)


def test_tls_over_a_unix_socket_is_refused_rather_than_left_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="TLS"):
        Transport(tls=ssl.create_default_context(), socket=tmp_path / "a.sock")


async def losing_answers(times: int) -> tuple[web.AppRunner, str, list[tuple[str, str]]]:
    """Run a server that breaks off its first answers, and notes each request's proof and key."""
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        seen.append((request.headers["DPoP"], request.headers.get("Idempotency-Key", "")))
        if len(seen) <= times and request.transport is not None:
            request.transport.abort()
        opened = {"id": "r1", "model": "m", "model_digest": "sha256:" + "a" * 64, "members": ["dev-a"]}
        more = {"opened_by": "dev-b", "opens_at": 1.0, "closes_at": 2.0, "state": "open"}
        return web.json_response({**opened, **more}, status=201)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}", seen


REQUEST = RoundRequest(id="r1", model="m", model_digest="sha256:" + "a" * 64, members=["dev-a"], duration_seconds=60.0)


async def test_a_lost_answer_is_asked_for_once_more_under_the_same_key_with_another_proof() -> None:
    runner, url, seen = await losing_answers(1)
    async with ControlPlane(url, DeviceKey.generate()) as client:
        assert (await client.open_round(REQUEST)).id == "r1"
        assert (await client.open_round(REQUEST)).id == "r1"
    await runner.cleanup()
    (first, key), (second, same), (_, another) = seen
    assert key == same
    assert key not in ("", another)
    assert first != second


async def test_answers_that_go_on_getting_lost_are_given_up() -> None:
    runner, url, seen = await losing_answers(9)
    async with ControlPlane(url, DeviceKey.generate()) as client:
        with pytest.raises(Unavailable) as caught:
            await client.open_round(REQUEST)
    await runner.cleanup()
    assert (len(seen), caught.value.is_untouched) == (2, False)


async def test_https_where_http_is_spoken_says_that_it_may_be_that(plane_at: str) -> None:
    async with ControlPlane(plane_at.replace("http://", "https://"), DeviceKey.generate()) as plane:
        with pytest.raises(Unreachable, match="http:// instead of https://"):
            await plane.readiness()


async def test_a_refused_proof_is_told_with_the_url_and_the_clocks(plane_at: str) -> None:
    late = ControlPlane(plane_at, DeviceKey.generate(), clock=lambda: time.time() + 600)
    async with late as plane:
        with pytest.raises(Unauthenticated, match=rf"Asked at {plane_at}/v1/devices/dev-a\. .*60. s ahead") as told:
            await plane.device("dev-a")
    assert "Asked at" not in str(told.value.problem)


@pytest.fixture
async def plane_at() -> AsyncIterator[str]:
    """Something that knows nobody, over plain HTTP."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
