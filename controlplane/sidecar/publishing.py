"""Hand the policy bundle to OPA over loopback HTTP, so that a new file is taken up while OPA runs.

OPA reads a bundle from a file once, and one from HTTP again and again. What it refuses changes nothing: the last
good revision keeps deciding, also after a restart, since OPA keeps a copy of it.
"""

import asyncio
import hashlib
import secrets
from pathlib import Path

from aiohttp import web

RESOURCE = "bundle.tar.gz"
MAX_BUNDLE_BYTES = 64 * 1024 * 1024


class BundlePublisher:
    """Serves one file on a free loopback port, to the holder of its token alone.

    Args:
        bundle: the file; replaced whole, it is the next revision.
    """

    def __init__(self, bundle: Path) -> None:
        self.token = secrets.token_urlsafe(32)
        self._bundle = bundle
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Start serving and return the base URL."""
        app = web.Application()
        app.router.add_get(f"/{RESOURCE}", self._send)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _send(self, request: web.Request) -> web.Response:
        presented = request.headers.get("Authorization", "")
        if not secrets.compare_digest(presented.encode(), f"Bearer {self.token}".encode()):
            return web.Response(status=401)
        try:
            body = await asyncio.to_thread(_read, self._bundle)
        except OSError:
            return web.Response(status=404)
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, content_type="application/gzip", headers={"ETag": etag})


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BUNDLE_BYTES)
