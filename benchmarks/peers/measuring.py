"""Ask every engine the same: first whether it answers as the policy says, then as fast as it answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.household import median
from benchmarks.load import drive
from benchmarks.peers.building import built, version_of
from benchmarks.peers.cases import Asked, World, world
from benchmarks.peers.cerbos import cerbos
from benchmarks.peers.engine import Engine, NotThere, answer_of
from benchmarks.peers.opa import opa
from benchmarks.peers.openfga import openfga
from benchmarks.peers.ours import ours, ours_minting

CHECKED = 200
"""Questions that every engine must answer rightly before anything is timed."""

SEED = 20_261_128

Start = Callable[[World, Path], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def topaz(_world: World, _folder: Path) -> AsyncIterator[Engine]:
    """Say why Topaz is not measured.

    Raises:
        NotThere: always. No version of its module could be had to write this with.
    """
    await asyncio.to_thread(built, "topaz")
    raise NotThere("it builds by now, but how it is asked was never written: no version of it could be had then")
    yield


@dataclass(frozen=True)
class Contestant:
    """An engine that is measured.

    Attributes:
        title: as tables show it.
        start: runs it with the policy.
    """

    title: str
    start: Start


def contestants() -> dict[str, Contestant]:
    """Return all engines by name, in the order in which they are measured."""
    return {
        "opa": Contestant("raw OPA", opa),
        "cerbos": Contestant(f"Cerbos {version_of('cerbos')}", cerbos),
        "openfga": Contestant(f"OpenFGA {version_of('openfga')}, store in memory", openfga),
        "topaz": Contestant("Topaz", topaz),
        "ours": Contestant("ours, decision and record, mutual TLS", ours),
        "ours_minting": Contestant("ours, with a capability", ours_minting),
    }


@dataclass(frozen=True)
class Size:
    """How much is asked.

    Attributes:
        requests: in each run.
        connections: over which they come, and devices that ask.
        runs: of each engine; medians are told.
    """

    requests: int
    connections: int
    runs: int


@dataclass(frozen=True)
class Figures:
    """What one engine came to.

    Attributes:
        rps: requests a second.
        p50_ms: median latency, milliseconds.
        p99_ms: 99th percentile, milliseconds.
        resident_mib: memory that its processes have resident after it, MiB.
        cpu_us: processor time of its processes for a request, microseconds.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    resident_mib: float
    cpu_us: float


async def compared(start: Start, folder: Path, size: Size) -> Figures:
    """Run an engine, see that it answers rightly, and measure it.

    Raises:
        NotThere: it cannot be had or started, or answers otherwise than the policy.
    """
    about = world(size.connections, SEED)
    async with start(about, folder) as engine:
        wrong = await differing(engine, about.questions(CHECKED, SEED))
        if wrong:
            one = wrong[0]
            said = f"{one.party.role} {one.action} {one.model.name}: {'no' if one.expected else 'yes'}"
            raise NotThere(f"{len(wrong)} of {CHECKED} answers are not the policy's, such as {said}")
        questions = about.questions(size.requests, SEED + 1)
        await _timed(engine, questions[: max(size.connections, size.requests // 4)], size)
        found = [await _timed(engine, questions, size) for _ in range(size.runs)]
        names = Figures.__dataclass_fields__
        return Figures(**{name: round(median([getattr(one, name) for one in found]), 3) for name in names})


async def differing(engine: Engine, questions: Sequence[Asked]) -> list[Asked]:
    """Return the questions that an engine answers otherwise than the policy says."""
    wrong = []
    for place, asked in enumerate(questions):
        context = engine.tls[place % len(engine.tls)] if engine.tls else None
        if engine.allowed(*await answer_of(engine.port, engine.encode(asked), context)) != asked.expected:
            wrong.append(asked)
    return wrong


async def _timed(engine: Engine, questions: Sequence[Asked], size: Size) -> Figures:
    encoded = [engine.encode(one) for one in questions]
    used = engine.family.cpu_seconds()
    load = await drive("127.0.0.1", engine.port, encoded, size.connections, engine.tls)
    used = engine.family.cpu_seconds() - used
    odd = {status: count for status, count in load.statuses.items() if status not in {200, 201, 403}}
    if odd:
        raise NotThere(f"under load it answered with {odd}")
    return Figures(
        rps=load.rate,
        p50_ms=load.percentile(0.5) * 1e3,
        p99_ms=load.percentile(0.99) * 1e3,
        resident_mib=engine.family.resident_bytes() / 2**20,
        cpu_us=used / load.requests * 1e6,
    )
