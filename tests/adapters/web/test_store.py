"""A model store behind one rule, at a real control plane: who may serve a model fetches the weights it was granted."""

from collections.abc import Callable

import aiohttp
from aiohttp import web

from adapters.client import Prover
from adapters.member import Member
from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import capability_of, guard
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import CapabilityContext
from tests.support import DIGEST, MODEL, ControlPlane

OTHER = DIGEST.replace("d", "e")


async def test_weights_are_given_to_whom_they_were_granted(plane: ControlPlane, enrol: Callable[..., Member]) -> None:
    async def give(request: web.Request) -> web.Response:
        named = capability_of(request).named
        return web.Response(text=f"{named.resource} {named.digest}")

    app = web.Application()
    rules = [Rule("model_access", path="/models/{resource}/{digest}", purpose="serving")]
    public_url = "https://store.example"
    guard(app, EnforcementPoint(plane.url, audience="store-1", public_url=public_url, rules=rules))
    app.router.add_get("/models/{resource}/{digest}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    consumer = enrol("consumer")
    resource = Resource(type="model", id=MODEL, properties=ResourceProperties(digest=DIGEST))
    grant = consumer.plane.capability("model_access", resource, "store-1", CapabilityContext(purpose="serving"))
    token, prover = grant.require().access_token, Prover(consumer.key)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        for digest, status in [(DIGEST, 200), (OTHER, 403)]:
            path = f"/models/{MODEL}/{digest}"
            async with session.get(path, headers=prover.present("GET", public_url + path, token)) as answer:
                assert answer.status == status, await answer.text()
                assert status != 200 or await answer.text() == f"{MODEL} {DIGEST}"
    await runner.cleanup()
