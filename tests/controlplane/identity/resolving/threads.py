"""The web server of these tests beside code that is not asynchronous, on a thread with a loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.controlplane.identity.resolving.pages import Pages, serving_pages


@contextmanager
def pages_on_a_thread() -> Iterator[Pages]:
    """Serve documents until the context is left."""
    found: list[Pages] = []
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def _serve() -> None:
        async with serving_pages() as pages:
            found.append(pages)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve()), name="pages")
    thread.start()
    try:
        assert ready.wait(10)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
