"""Stands between a control plane and its OPA, and changes what OPA answers, as a broken proxy or engine would."""

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from controlplane.sidecar import Sidecar

Change = Callable[[dict[str, Any]], Any]
"""Returns what is answered in place of OPA's document."""


class Liar:
    """Forwards each question to a real OPA.

    Attributes:
        change: of its answers; none leaves them as they are.
        raw: bytes that are answered in their place.
        status: of each answer.
        delay: seconds before each answer.
        answers: OPA's own, as they came.
    """

    def __init__(self, sidecar: Sidecar, socket: Path) -> None:
        self.socket = socket
        self._sidecar = sidecar
        self.answers: list[dict[str, Any]] = []
        self.honest()

    def honest(self) -> None:
        """Change nothing from now on."""
        self.change: Change | None = None
        self.raw: bytes | None = None
        self.status = 200
        self.delay = 0.0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer, on a thread of its own."""
        loop, ended = asyncio.new_event_loop(), asyncio.Event()
        begun = threading.Event()

        async def _serve() -> None:
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{path:.*}", self._respond)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            await web.UnixSite(runner, str(self.socket)).start()
            begun.set()
            await ended.wait()
            await runner.cleanup()

        def _work() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(_serve())

        thread = threading.Thread(target=_work, name="liar")
        thread.start()
        try:
            assert begun.wait(30)
            yield
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join(30)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        connector = aiohttp.UnixConnector(path=str(self._sidecar.options.socket))
        headers = {"Authorization": f"Bearer {self._sidecar.token}", "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers) as session,
            session.post(f"http://opa.invalid{request.path}", data=body) as response,
        ):
            document = await response.json()
        self.answers.append(document)
        await asyncio.sleep(self.delay)
        if self.raw is not None:
            return web.Response(body=self.raw, status=self.status, content_type="application/json")
        # A probe asks nothing, so there is nothing to lie about.
        said = self.change(document) if self.change and document["result"]["decisions"] else document
        return web.json_response(said, status=self.status)


@contextmanager
def lying(sidecar: Sidecar) -> Iterator[Liar]:
    """Have a liar listen on a socket of its own."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        liar = Liar(sidecar, Path(folder) / "opa.sock")
        with liar.answering():
            yield liar
