"""A reverse proxy that checks nothing, of the library that ours is made of: what ours is measured against.

``python -m benchmarks.gateway.plain 8080 9000``: a port to listen on, and the model server's.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web

_KEPT = ("content-type",)


async def main(port: int, upstream: int) -> None:
    """Serve until the process ends.

    Args:
        port: loopback port to listen on.
        upstream: of the model server.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def passed_on(request: web.BaseRequest) -> web.StreamResponse:
            """Answer as the model server does."""
            url = f"http://127.0.0.1:{upstream}{request.raw_path}"
            headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
            async with session.request(request.method, url, data=await request.read(), headers=headers) as answer:
                kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        runner = web.ServerRunner(web.Server(passed_on, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
