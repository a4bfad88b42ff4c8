"""Somebody between a reader and a node on the network, who hands on what is asked and answers otherwise."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.controlplane.identity.ledgers.evm.chains import Twist

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """Answer requests, and give the URL."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def between(url: str, twist: Twist) -> AsyncIterator[str]:
    """Stand before a node, and answer what the twist makes of its answers."""
    async with aiohttp.ClientSession() as session:

        async def serve(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            asked = json.loads(body)
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                found = await answer.json()
            if "result" in found:
                found["result"] = twist(asked["method"], asked["params"], found["result"])
            return web.json_response(found)

        async with serving(serve) as shown:
            yield shown
