"""A closed-loop HTTP/1.1 load: each connection sends its next request when the last one is answered."""

import asyncio
import ssl
import time
from collections.abc import Sequence
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


class _Connection(asyncio.Protocol):
    """Sends its share of the requests one after the other, and times each."""

    def __init__(self, requests: Sequence[bytes], done: asyncio.Future[None]) -> None:
        self._requests = iter(requests)
        self._done = done
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have a base class of their own.
        self._transport = cast("asyncio.Transport", transport)

    def begin(self) -> None:
        """Send the first request."""
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None or self._transport is None:
            if self._transport is not None:
                self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head + b"\r\n").find(b"\r\n", at)])
        if len(self._buffer) < end + 4 + length:
            return
        self.latencies.append(time.perf_counter() - self._sent)
        status = int(head[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))


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
    shares = [requests[index::connections] for index in range(connections)]
    ends = [loop.create_future() for _ in shares]
    protocols: list[_Connection] = []
    for index, (share, end) in enumerate(zip(shares, ends, strict=True)):
        context = tls[index % len(tls)] if tls else None
        _, protocol = await loop.create_connection(partial(_Connection, share, end), host, port, ssl=context)
        protocols.append(protocol)
    started = time.perf_counter()
    for protocol in protocols:
        protocol.begin()
    await asyncio.wait_for(asyncio.gather(*ends), PATIENCE_SECONDS)
    seconds = time.perf_counter() - started
    statuses: dict[int, int] = {}
    for protocol in protocols:
        for status, count in protocol.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    latencies = sorted(latency for protocol in protocols for latency in protocol.latencies)
    return Load(len(latencies), seconds, latencies, statuses)
