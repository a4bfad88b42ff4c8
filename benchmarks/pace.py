"""An open-loop HTTP/1.1 load: requests go out at a rate, whether or not earlier ones are answered."""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Sequence

from benchmarks.load import PATIENCE_SECONDS, Exchange, Load, connected, load_of


async def drive_at(
    rate: float,
    host: str,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    tls: Sequence[ssl.SSLContext] = (),
) -> Load:
    """Send ``requests`` at a rate, each over the connection that has been free for longest.

    A request that finds no connection free waits for one, and its wait counts. How late this process itself is does
    not.

    Args:
        rate: requests a second.
        host: address of the server.
        port: of the server.
        requests: `benchmarks.load.encode` makes them.
        connections: made before the clock starts.
        tls: how the connections are secured, in turn; none for plain HTTP.

    Raises:
        ConnectionError: the server closed a connection.
        TimeoutError: not all were answered within two minutes after the last one was due.
    """
    free: deque[Exchange] = deque()
    waiting: deque[tuple[bytes, float]] = deque()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(requests)

    def _answered(exchange: Exchange) -> None:
        nonlocal left
        left -= 1
        if waiting:
            exchange.send(*waiting.popleft())
        else:
            free.append(exchange)
        if left == 0 and not done.done():
            done.set_result(None)

    def _lost(error: Exception) -> None:
        if not done.done():
            done.set_exception(error)

    free.extend(await connected(host, port, connections, tls, lambda _: Exchange(_answered, _lost)))
    exchanges, started = list(free), time.perf_counter()
    for number, request in enumerate(requests):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        if done.done():
            break
        if free:
            free.popleft().send(request, time.perf_counter())
        else:
            waiting.append((request, time.perf_counter()))
    await asyncio.wait_for(done, PATIENCE_SECONDS)
    seconds = time.perf_counter() - started
    for exchange in exchanges:
        exchange.close()
    return load_of(exchanges, seconds)
