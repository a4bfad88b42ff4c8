"""A server that only named workloads reach: ``python -m examples.spiffe.serving keys/reports 8443 SPIFFE_ID...``."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from adapters.enrolment import load_identity, load_key
from adapters.plane import ControlPlane
from adapters.svid import SpiffeId, SvidSource, peer_of

START_SECONDS = 30.0


async def greet(request: web.Request) -> web.Response:
    """Say who asks: the handshake has verified it."""
    return web.json_response({"peer": str(peer_of(request.get_extra_info("ssl_object")))})


async def serve(folder: Path, port: int, peers: Sequence[str]) -> None:
    """Serve as the workload that was enrolled in ``folder``, to ``peers`` alone, until cancelled."""
    app = web.Application()
    app.router.add_get("/", greet)
    async with (
        ControlPlane(load_identity(folder).url, load_key(folder)) as plane,
        SvidSource(plane, lifetime_seconds=300.0) as source,
    ):
        if not await source.ready(START_SECONDS):
            raise SystemExit(f"there is no SVID: {source.failure}")
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            context = source.context({SpiffeId.parse(peer) for peer in peers}, server=True)
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
            print(f"{source.svid.name} on https://127.0.0.1:{runner.addresses[0][1]}", flush=True)
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
