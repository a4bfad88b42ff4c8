"""What is between a station and a control plane: it refuses connections, and loses answers, as a test says."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit


@contextmanager
def between(
    url: str, loses: Callable[[int], bool] = lambda number: False, later_seconds: float = 0.0
) -> Iterator[Path]:
    """Give out a Unix socket that leads to the control plane.

    Args:
        url: of the control plane.
        loses: whether the answer to the request with this number is lost; the control plane has done what it asked.
        later_seconds: that nobody listens at first.
    """
    with TemporaryDirectory(prefix="ztfm-") as folder:
        path, loop, ended = Path(folder) / "between.sock", asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(
            target=lambda: loop.run_until_complete(_serve(path, url, loses, later_seconds, ended))
        )
        thread.start()
        try:
            yield path
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
            loop.close()


async def _serve(
    path: Path, url: str, loses: Callable[[int], bool], later_seconds: float, ended: asyncio.Event
) -> None:
    host = urlsplit(url)
    requests = 0
    under_way: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        there, back = await asyncio.open_connection(host.hostname, host.port)
        try:
            while sent := await reader.read(65_536):
                requests += 1
                number = requests
                back.write(sent)
                answer = await there.read(65_536)
                if not answer or loses(number):
                    return
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            for one in (writer, back):
                one.close()
                with suppress(ConnectionError):
                    await one.wait_closed()

    def carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), later_seconds)
    server = await asyncio.start_unix_server(carried, path)
    await ended.wait()
    server.close()
    for task in list(under_way):
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
