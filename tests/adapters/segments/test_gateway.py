"""The gateway in the plant: a model answers a device through it, never past it, and is cut short with the device."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from adapters.member import Member
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.segmentation import GrantTable
from tests.adapters.segments.plant import ADDRESSES, SERVICE_PORT, Plant, flow, grant, table
from tests.support import MODEL, ControlPlane

ROOT = Path(__file__).parents[3]
URL = f"http://{ADDRESSES['gateway']}:{SERVICE_PORT}"
PATH = "/v1/chat/completions"
SIZE = {"prompt_tokens": 64, "max_output_tokens": 64}


@pytest.fixture(scope="module")
def gateway(plant: Plant, own: ControlPlane, folder: Path) -> Iterator[None]:
    """Our own proxy, in the gateway's network, before the model server."""
    keys = folder / "gateway"
    with Member.enrol(keys, own.url, own.token(["gateway"], "core"), roles=["gateway"], segment="core"):
        pass
    plant.listening.pop(("gateway", SERVICE_PORT)).close()
    options = {
        "--upstream": f"http://{ADDRESSES['models']}:{SERVICE_PORT}",
        "--model": MODEL,
        "--audience": "gateway-1",
        "--public-url": URL,
        "--listen": URL.removeprefix("http://"),
        "--control-plane-socket": str(folder / "api.sock"),
    }
    words = [word for pair in options.items() for word in pair]
    command = [sys.executable, "-m", "adapters.gateway", "proxy", str(keys), "--json", "--behind-tls", *words]
    process = plant.hosts["gateway"].begin(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["event"] == "ready"
        yield
    finally:
        process.terminate()
        process.wait(15.0)
        process.stdout.close()


@asynccontextmanager
async def modelling(plant: Plant) -> AsyncIterator[None]:
    """A model server that answers word by word without end."""

    async def _answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(500):
            said = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": " on"}}]}
            await response.write(b"data: " + json.dumps(said).encode() + b"\n\n")
            await asyncio.sleep(0.02)
        return response

    app = web.Application()
    app.router.add_post(PATH, _answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, plant.listening["models", SERVICE_PORT]).start()
    try:
        yield
    finally:
        await runner.cleanup()


def asked(own: ControlPlane, through: socket.socket) -> http.client.HTTPResponse:
    """Ask the gateway for a stream over a connection, as a device with a capability does."""
    device = own.enrol("consumer")
    found = device.capability("inference", audience="gateway-1", inference=SIZE).expect(201)
    token = str(found["access_token"])
    proof = make_proof(device.key, method="POST", url=URL + PATH, now=time.time(), access_token=token)
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof, "Content-Type": "application/json"}
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "turn on the light"}]}
    connection = http.client.HTTPConnection(ADDRESSES["gateway"], SERVICE_PORT)
    connection.sock = through
    connection.request("POST", PATH, json.dumps(body).encode(), headers)
    return connection.getresponse()


async def test_a_model_answers_through_the_gateway_alone_until_the_device_is_cut(
    plant: Plant, own: ControlPlane, gateway: None, put: Callable[[GrantTable], None]
) -> None:
    grants = [grant("camera", "gateway"), grant("gateway", "models")]
    async with modelling(plant):
        put(table(grants))
        with (
            plant.hosts["camera"].connect(ADDRESSES["gateway"], SERVICE_PORT, seconds=10.0) as through,
            await asyncio.to_thread(asked, own, through) as answer,
        ):
            assert answer.status == 200, answer.read()
            assert b"chat.completion.chunk" in await asyncio.to_thread(answer.readline)
            assert plant.reached([flow("camera", "models")]) == set()
            assert await asyncio.to_thread(came, through)
            began = last = time.monotonic()
            await asyncio.to_thread(put, table(grants, ["camera"]))
            while time.monotonic() - last < 0.5:
                assert time.monotonic() - began < 10.0, "the stream goes on"
                if await asyncio.to_thread(came, through, 0.1):
                    last = time.monotonic()
            assert last - began < 1.0


def came(through: socket.socket, seconds: float = 5.0) -> bool:
    """Whether something more came over a connection within a moment."""
    through.settimeout(seconds)
    try:
        return bool(through.recv(65_536))
    except TimeoutError:
        return False
