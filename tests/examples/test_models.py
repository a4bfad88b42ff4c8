"""The store of signed models, from the signer to the device, at a real control plane."""

import asyncio
import socket
import time
import urllib.error
from pathlib import Path
from urllib.request import Request, urlopen

from aiohttp import web

from adapters.client import Prover
from adapters.member import Member
from adapters.models import ModelStore, load_signers
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import CapabilityContext
from examples.models.store import build_app
from tests.controlplane.api.test_models import asking_for_signatures
from tests.modelsigning import digest_of, public_pem, trusting, written
from tests.support import MODEL, running

WEIGHTS = b"weights" * 50_000
ADDED = b"never signed"


async def test_a_device_gets_what_was_signed_and_registered_and_nothing_else(tmp_path: Path) -> None:
    signers = trusting(tmp_path / "signers", example_lab=public_pem())
    model = written(tmp_path / MODEL, {"weights.bin": WEIGHTS, "config.json": b"{}"})
    store = ModelStore(load_signers(signers), time.time)
    store.add(model)
    with running(policies=asking_for_signatures(tmp_path), model_signers_dir=signers) as plane:
        boss = plane.enrol("administrator")
        token = plane.token(["gateway"], "core")
        Member.enrol(tmp_path / "gateway", plane.url, token, roles=["gateway"], segment="core").close()
        token = plane.token(["consumer"], "homes")
        with (
            Member.enrol(tmp_path / "device", plane.url, token, roles=["consumer"], segment="homes") as device,
            socket.create_server(("127.0.0.1", 0)) as listener,
        ):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            runner = web.AppRunner(build_app(tmp_path / "gateway", url, store))
            await runner.setup()
            await web.SockSite(runner, listener).start()

            def pulled(content: bytes) -> bytes | str | int:
                digest = digest_of(content)
                resource = Resource(type="model", id=MODEL, properties=ResourceProperties(digest=digest))
                asked = CapabilityContext(purpose="serving")
                grant = device.plane.capability("model_access", resource, "gateway-1", asked)
                if not grant.allowed:
                    return ",".join(reason.code for reason in grant.reasons)
                target = f"{url}/models/{MODEL}/{digest}"
                shown = Prover(device.key).present("GET", target, grant.require().access_token)
                try:
                    with urlopen(Request(target, headers=dict(shown)), timeout=10) as answer:
                        return bytes(answer.read())
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code

            assert await asyncio.to_thread(pulled, WEIGHTS) == "model_signed"
            signed = {"bundle": (model / "model.sig").read_text()}
            boss.post(f"/v1/models/{MODEL}/versions", signed).expect(201)
            await asyncio.sleep(1.1)
            assert await asyncio.to_thread(pulled, WEIGHTS) == WEIGHTS
            assert await asyncio.to_thread(pulled, ADDED) == "model_signed"
            (model / "weights.bin").write_bytes(b"Weights" + WEIGHTS[7:])
            assert await asyncio.to_thread(pulled, WEIGHTS) == 500
            await runner.cleanup()
