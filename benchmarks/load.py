"""A closed-loop HTTP/1.1 load: each connection sends its next request when the last one is answered."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Load:
    """What one run measured.

    Attributes:
        requests: answered in the measured time.
        seconds: measured time.
        latencies: of each request, seconds, sorted.
        statuses: how often each HTTP status came.
    """

    requests: int
    seconds: float
    latencies: Sequence[float]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """Latency below which ``share`` of the requests lie, seconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def encode(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return one request's bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Exchange(asyncio.Protocol):
    """One request at a time over one connection, each timed.

    Args:
        answered: called when an answer is whole; it may send the next request.
        lost: called when the server closes the connection.
    """

    def __init__(self, answered: Callable[["Exchange"], None], lost: Callable[[Exception], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._buffer = b""
        self._since = 0.0
        self._transport: asyncio.Transport | None = None
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        # uvloop's transports have a base class of their own.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, since: float) -> None:
        """Send a request whose latency counts from a value of ``time.perf_counter``."""
        self._since = since
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Put the answer together, and time it when it is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head + b"\r\n").find(b"\r\n", at)])
        if len(self._buffer) < end + 4 + length:
            return
        self.latencies.append(time.perf_counter() - self._since)
        status = int(head[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._buffer = b""
        self._answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection is gone."""
        self._lost(exc or ConnectionError("the server closed the connection"))


async def connected(
    host: str, port: int, connections: int, tls: Sequence[ssl.SSLContext], make: Callable[[int], Exchange]
) -> list[Exchange]:
    """Connect so many times, each with the next of the ways to secure it."""
    loop = asyncio.get_running_loop()
    made = []
    for index in range(connections):
        context = tls[index % len(tls)] if tls else None
        _, exchange = await loop.create_connection(partial(make, index), host, port, ssl=context)
        made.append(exchange)
    return made


def load_of(exchanges: Sequence[Exchange], seconds: float) -> Load:
    """Bring together what several connections measured within so many seconds."""
    statuses: dict[int, int] = {}
    for exchange in exchanges:
        for status, count in exchange.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    latencies = sorted(latency for exchange in exchanges for latency in exchange.latencies)
    return Load(len(latencies), seconds, latencies, statuses)


async def drive(
    host: str,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    tls: Sequence[ssl.SSLContext] = (),
) -> Load:
    """Send ``requests`` over ``connections`` connections, as fast as they are answered.

    Args:
        host: address of the server.
        port: of the server.
        requests: `encode` makes them; the connections share them in turn.
        connections: made before the clock starts.
        tls: how the connections are secured, in turn; none for plain HTTP.

    Raises:
        ConnectionError: the server closed a connection.
        TimeoutError: not all were answered within two minutes.
    """
    loop = asyncio.get_running_loop()
    shares = [iter(requests[index::connections]) for index in range(connections)]
    ends: list[asyncio.Future[None]] = [loop.create_future() for _ in shares]

    def _next_of(index: int, exchange: Exchange) -> None:
        request = next(shares[index], None)
        if request is not None:
            exchange.send(request, time.perf_counter())
            return
        exchange.close()
        if not ends[index].done():
            ends[index].set_result(None)

    def _lost(index: int, error: Exception) -> None:
        if not ends[index].done():
            ends[index].set_exception(error)

    def _made(index: int) -> Exchange:
        return Exchange(partial(_next_of, index), partial(_lost, index))

    exchanges = await connected(host, port, connections, tls, _made)
    started = time.perf_counter()
    for index, exchange in enumerate(exchanges):
        _next_of(index, exchange)
    await asyncio.wait_for(asyncio.gather(*ends), PATIENCE_SECONDS)
    return load_of(exchanges, time.perf_counter() - started)
