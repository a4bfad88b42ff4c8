"""Measure two servers that differ in one thing, in turn, so that what else the machine does meets both alike."""

import socket
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.load import drive
from benchmarks.rounds.processor import processor_seconds

BLOCK = 20
"""Requests to one server before it is the other's turn."""

_PATIENCE_SECONDS = 10.0
_CHUNK = 65_536


@dataclass(frozen=True)
class Side:
    """One of two servers.

    Attributes:
        port: loopback port that it listens on.
        processes: whose processor time is its own, their children's too.
    """

    port: int
    processes: Sequence[int]

    def used(self) -> float:
        """Return processor seconds used so far."""
        return sum(processor_seconds(one) for one in self.processes)


@dataclass(frozen=True)
class Figures:
    """A proxy with the check against the same one without it.

    Attributes:
        bare_p50_ms: median latency without it, milliseconds, where other work on the machine disturbed least: in the
            tenth of the blocks in which both sides were fastest.
        p50_ms: median latency with it in these blocks.
        added_p50_ms: the difference.
        added_p99_ms: the difference of the 99th percentiles of all blocks.
        bare_rps: requests a second without it, under load, as the median of turns; so are all that follow.
        rps: with it.
        ratio_rps: the second over the first, turn by turn.
        bare_cpu_us: processor time of a request without it, all server processes together, microseconds.
        added_cpu_us: what the check adds; hardly moved by what else the machine does.
    """

    bare_p50_ms: float
    p50_ms: float
    added_p50_ms: float
    added_p99_ms: float
    bare_rps: float
    rps: float
    ratio_rps: float
    bare_cpu_us: float
    added_cpu_us: float


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        requests: to each side in each turn, one after the other over one connection.
        load: requests to each side in each turn under load.
        connections: that load comes over.
        turns: of either.
    """

    requests: int
    load: int
    connections: int
    turns: int

    def part(self, of: int) -> "Size":
        """Return a size with one of so many requests, and load over one connection.

        A gateway's key asks 200 times a second at most, twice for an inference: more at once would be refused.
        """
        return replace(self, requests=max(1, self.requests // of), load=max(1, self.load // of), connections=1)


class Line:
    """A connection that asks, and waits for the answer.

    Args:
        port: loopback port.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> float:
        """Return the seconds until the whole answer is here.

        Raises:
            RuntimeError: the answer is none that lets the request pass.
        """
        begun = time.perf_counter()
        self._socket.sendall(request)
        answer = self._socket.recv(_CHUNK)
        while answer and not _is_whole(answer):
            more = self._socket.recv(_CHUNK)
            answer = answer + more if more else b""
        taken = time.perf_counter() - begun
        if answer[9:12] != b"200":
            raise RuntimeError(f"the request did not pass: {answer[:600]!r}")
        return taken

    def close(self) -> None:
        """Close it."""
        self._socket.close()


async def compared(bare: Side, checked: Side, requests: Callable[[int], Sequence[bytes]], size: Size) -> Figures:
    """Return what the check costs.

    Args:
        bare: without it.
        checked: with it.
        requests: makes so many that pass the check, once each.
        size: how much is measured.

    Raises:
        RuntimeError: a request did not pass.
    """
    each(bare, checked, requests(2 * BLOCK))
    blocks = [block for _ in range(size.turns) for block in each(bare, checked, requests(size.requests))]
    rates: tuple[list[float], list[float]] = ([], [])
    costs: tuple[list[float], list[float]] = ([], [])
    for _ in range(size.turns):
        made = requests(size.load)
        for number, side in enumerate((bare, checked)):
            before = side.used()
            load = await drive("127.0.0.1", side.port, made, size.connections)
            if set(load.statuses) != {200}:
                raise RuntimeError(f"not all requests passed: {load.statuses}")
            rates[number].append(load.rate)
            costs[number].append((side.used() - before) / load.requests * 1e6)
    bare_cpu, cpu = (statistics.median(side) for side in costs)
    bare_p50, p50 = (statistics.median(side) * 1e3 for side in quietest(blocks))
    bare_p99, p99 = (_at(side, 0.99) * 1e3 for side in _together(blocks))
    return Figures(
        bare_p50_ms=round(bare_p50, 3),
        p50_ms=round(p50, 3),
        added_p50_ms=round(p50 - bare_p50, 3),
        added_p99_ms=round(p99 - bare_p99, 3),
        bare_rps=round(statistics.median(rates[0]), 1),
        rps=round(statistics.median(rates[1]), 1),
        ratio_rps=round(statistics.median(with_it / without for without, with_it in zip(*rates, strict=True)), 3),
        bare_cpu_us=round(bare_cpu, 1),
        added_cpu_us=round(cpu - bare_cpu, 1),
    )


Block = tuple[list[float], list[float]]
"""Latencies at the one side and at the other, seconds, of the same requests, one side right after the other."""


def each(bare: Side, checked: Side, requests: Sequence[bytes]) -> list[Block]:
    """Return latencies of the same requests at both sides, in blocks of `BLOCK`."""
    lines = (Line(bare.port), Line(checked.port))
    try:
        blocks = (requests[start : start + BLOCK] for start in range(0, len(requests), BLOCK))
        return [([lines[0].ask(one) for one in block], [lines[1].ask(one) for one in block]) for block in blocks]
    finally:
        for line in lines:
            line.close()


def quietest(blocks: Sequence[Block]) -> Block:
    """Return all latencies of the tenth of the blocks, one at least, in which both sides together were fastest."""
    ordered = sorted(blocks, key=lambda block: sum(statistics.median(side) for side in block))
    return _together(ordered[: max(1, len(ordered) // 10)])


def _together(blocks: Sequence[Block]) -> Block:
    return [one for block in blocks for one in block[0]], [one for block in blocks for one in block[1]]


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _is_whole(answer: bytes) -> bool:
    head, ended, body = answer.partition(b"\r\n\r\n")
    if not ended:
        return False
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    return at >= 0 and len(body) >= int(lowered[at + 15 :].split(b"\r\n", 1)[0])
