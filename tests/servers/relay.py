"""A TCP relay that can stop: what goes through it is then neither passed on nor refused, as on a broken network."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE = 65_536


@dataclass
class Relay:
    """Passes connections on to a loopback port.

    Attributes:
        target: the port that they go to.
        port: that it listens on.
    """

    target: int
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def stop(self) -> None:
        """Pass nothing on from now on; who is connected stays so, and hears nothing."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Pass on what comes, and cut off those who were connected while nothing was: their bytes are gone."""

        def _flow() -> None:
            for task in self._tasks:
                task.cancel()
            self._flows.set()

        self._loop.call_soon_threadsafe(_flow)

    async def serve(self, ready: threading.Event) -> None:
        """Listen, for ever."""
        self._flows.set()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            await self._flows.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, far))
                both.create_task(self._pass(far_reader, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for one in (writer, far):
                if one is not None:
                    one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    """Pass connections on to a loopback port until the block ends."""
    found = Relay(target)
    ready = threading.Event()

    def work() -> None:
        with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=lambda: found._loop) as runner:
            runner.run(found.serve(ready))

    thread = threading.Thread(target=work, name="relay")
    thread.start()
    try:
        assert ready.wait(10)
        yield found
    finally:

        def _end() -> None:
            for task in asyncio.all_tasks(found._loop):
                task.cancel()

        found._loop.call_soon_threadsafe(_end)
        thread.join(10)
