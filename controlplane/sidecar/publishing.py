"""Hand policy bundles to OPA over loopback HTTP, from memory, as soon as there are new ones.

OPA asks with ``Prefer: wait=SECONDS`` and the ETag of what it has; the answer is held until there is something else, or
until the time is over (OPA's bundle service API, "HTTP long polling"). What OPA refuses changes nothing: the last good
revision keeps deciding, also after a restart, since OPA keeps a copy of it.
"""

import asyncio
import hashlib
import re
import secrets
from contextlib import suppress

from aiohttp import web

from controlplane.contracts.policies import PolicyLayer
from controlplane.sidecar.configuring import resource

MEDIA_TYPE = "application/vnd.openpolicyagent.bundles"
"""By this OPA knows that its requests may be held."""

LONGEST_SECONDS = 60.0
_WAIT = re.compile(r"(?:^|[;,\s])wait=(\d{1,6})(?:$|[;,\s])")


class BundlePublisher:
    """Serves the bundles that it was offered on a free loopback port, to the holder of its token alone."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._offered: dict[str, tuple[str, bytes]] = {}
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def offer(self, layer: PolicyLayer, body: bytes) -> None:
        """Serve a bundle from now on, and answer those that wait for it; on the loop that serves."""
        self._offered[resource(layer)] = (hashlib.sha256(body).hexdigest(), body)
        self._wake()

    async def start(self) -> str:
        """Start serving and return the base URL."""
        app = web.Application()
        app.router.add_get("/{name}", self._send)
        # Whoever went away must not be waited for.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            self._wake()
            await runner.cleanup()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _send(self, request: web.Request) -> web.Response:
        presented = request.headers.get("Authorization", "")
        if not secrets.compare_digest(presented.encode(), f"Bearer {self.token}".encode()):
            return web.Response(status=401)
        name = request.match_info["name"]
        held = {etag.value for etag in request.if_none_match or ()}
        with suppress(TimeoutError):
            async with asyncio.timeout(_patience(request)):
                while self._runner is not None and not self._has_other(name, held):
                    await self._news.wait()
        if name not in self._offered:
            return web.Response(status=404)
        etag, body = self._offered[name]
        headers = {"ETag": f'"{etag}"', "Content-Type": MEDIA_TYPE}
        if etag in held:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    def _has_other(self, name: str, held: set[str]) -> bool:
        return name in self._offered and self._offered[name][0] not in held


def _patience(request: web.Request) -> float:
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), LONGEST_SECONDS) if found else 0.0
