"""The examples of docs/integrating.md, together: a gateway and a device at a real control plane, over real sockets."""

import asyncio
import importlib
import json
import shutil
import socket
import subprocess
import sys
import urllib.error
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import uvicorn
from aiohttp import web

from adapters.client import SyncCapabilities
from adapters.member import Member
from examples import calling, guarded_aiohttp, guarded_asgi
from tests.support import SEGMENTS, ControlPlane

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def under_aiohttp(folder: Path) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runner = web.AppRunner(guarded_aiohttp.build_app(folder, url))
        await runner.setup()
        await web.SockSite(runner, listener).start()
        yield url
        await runner.cleanup()


@asynccontextmanager
async def under_uvicorn(folder: Path) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(guarded_asgi.build_app(folder, url), log_config=None, ws="none"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.01)
        yield url
        server.should_exit = True
        await running


@contextmanager
def enrolled(plane: ControlPlane, folder: Path, role: str) -> Iterator[Member]:
    token = plane.token([role], SEGMENTS[role])
    with Member.enrol(folder, plane.url, token, roles=[role], segment=SEGMENTS[role]) as member:
        yield member


@pytest.mark.parametrize("serving", [under_aiohttp, under_uvicorn])
async def test_a_device_is_answered_until_it_is_revoked_and_a_stranger_never(
    plane: ControlPlane, tmp_path: Path, serving: Callable[[Path], AbstractAsyncContextManager[str]]
) -> None:
    with ExitStack() as stack:
        stack.enter_context(enrolled(plane, tmp_path / "gateway", "gateway"))
        consumer = stack.enter_context(enrolled(plane, tmp_path / "consumer", "consumer"))
        trainer = stack.enter_context(enrolled(plane, tmp_path / "trainer", "trainer"))
        operator = stack.enter_context(enrolled(plane, tmp_path / "operator", "operator"))
        mine = stack.enter_context(SyncCapabilities(consumer.plane))
        others = stack.enter_context(SyncCapabilities(trainer.plane))
        async with serving(tmp_path / "gateway") as url:
            target = f"{url}/v1/infer"
            for _ in range(3):
                answer = await asyncio.to_thread(calling.ask, consumer, mine, target, "turn the light on")
                assert (answer["intent"], answer["asked_by"]) == ("light_on", consumer.id)
            denied = await asyncio.to_thread(calling.ask, trainer, others, target, "turn the light on")
            assert denied["role_granted"]
            with pytest.raises(urllib.error.HTTPError) as refused:
                await asyncio.to_thread(urlopen, target, b"{}", 5)
            with refused.value as problem:
                assert (problem.code, json.load(problem)["status"]) == (401, 401)
            await asyncio.to_thread(operator.plane.set_status, consumer.id, "quarantined", "it was stolen")
            await asyncio.sleep(1.0)
            with pytest.raises(urllib.error.HTTPError) as revoked:
                await asyncio.to_thread(calling.ask, consumer, mine, target, "turn the light on")
            with revoked.value as problem:
                assert problem.code == 401


def test_uvicorn_finds_the_application_by_its_name(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with enrolled(plane, tmp_path, "gateway"):
        monkeypatch.setenv("GATEWAY", str(tmp_path))
        assert callable(importlib.reload(guarded_asgi).app)


@pytest.mark.parametrize("name", ["guarded_aiohttp", "guarded_asgi", "calling"])
def test_an_example_fits_on_a_page(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < 40


@pytest.mark.parametrize("name", ["guarded_aiohttp", "calling"])
def test_an_example_is_run_by_its_name(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"examples.{name}", str(tmp_path / "nobody"), "http://127.0.0.1:9/"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "enrol the device first" in result.stderr


NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
async def test_another_language_needs_no_sdk(plane: ControlPlane, tmp_path: Path) -> None:
    def call(stdin: str, url: str) -> subprocess.CompletedProcess[str]:
        command = [str(NODE), str(ROOT / "examples" / "calling.mjs"), str(tmp_path / "key.pem"), plane.url, url]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    with enrolled(plane, tmp_path / "gateway", "gateway"):
        async with under_aiohttp(tmp_path / "gateway") as url:
            refused = await asyncio.to_thread(call, "ztfm-enrol-nonsense", f"{url}/v1/infer")
            assert refused.returncode == 1
            assert "token_valid" in refused.stderr
            assert not (tmp_path / "key.pem").exists()
            first = await asyncio.to_thread(call, plane.token(["consumer"], SEGMENTS["consumer"]), f"{url}/v1/infer")
            assert json.loads(first.stdout)["intent"] == "light_on", first.stderr
            again = await asyncio.to_thread(call, "", f"{url}/v1/infer")
            assert again.stdout == first.stdout
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
