"""The embedded engine beside OPA: ``python -m benchmarks.embedded --json``.

Both answer the same questions by the same signed policies, in turn, several times; each through the control plane's
own coalescing, from this process, for as many askers as devices would wait at a time. OPA runs as the sidecar does, in
its own process, on a Unix socket. Nothing is recorded, and no HTTP of the control plane is in it: this is the engine
alone.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import median

import psutil
import uvloop

from controlplane.authoring import PolicyFolder
from controlplane.bundles import BundleSigner, Trust, verify
from controlplane.contracts.facts import FACTS
from controlplane.decisions import Coalescer
from controlplane.decisions.embedded import EmbeddedTransport
from controlplane.decisions.engine import Answered, BatchFault, BatchTransport
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.releases.building import build
from controlplane.sidecar import OpaBinary, Sidecar, SidecarOptions, locate_opa
from controlplane.sidecar.folders import beside, product_folder

ASKERS = 64
START_SECONDS = 20.0

Question = tuple[str, bytes]


@dataclass(frozen=True)
class Figures:
    """One engine in one run.

    Attributes:
        decisions_per_second: answered.
        p50_ms: median time of one question, milliseconds.
        p99_ms: time below which 99 % of them lie, milliseconds.
        cpu_us: processor time of a decision, this process and OPA's together, microseconds.
    """

    decisions_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


class _Unheard:
    def call(self, result: str, seconds: float, size: int) -> None:
        """Nobody listens."""

    def state(self, queued: int, *, circuit_open: bool) -> None:
        """Nobody looks."""

    def fault(self, error: BaseException) -> None:
        """Fail: a benchmark that fails measures nothing."""
        raise error


def questions() -> list[Question]:
    """Return the examples of the policies, as the control plane would ask about them."""
    folder = product_folder("policies")
    found = []
    for example in PolicyFolder.open(folder, folder).examples():
        if example.package in ("inference", "model_access", "gradient_submission"):
            facts = FACTS[example.package].model_validate(example.input)
            found.append((example.package, facts.model_dump_json(exclude_none=True).encode()))
    return found


async def measured(transport: BatchTransport, asked: Sequence[Question], count: int) -> Figures:
    """Return what an engine does with ``count`` questions."""
    engine = Coalescer(transport, _Unheard(), clock=time.monotonic)
    coming, took = cycle(asked), list[float]()
    left = iter(range(count))

    async def _ask() -> None:
        for _ in left:
            package, facts = next(coming)
            began = time.perf_counter()
            answer = await engine.ask(package, facts)
            took.append(time.perf_counter() - began)
            if not isinstance(answer, Answered):
                raise RuntimeError(f"an engine had no answer: {answer}")

    used, began = _processor_seconds(), time.perf_counter()
    await asyncio.gather(*(_ask() for _ in range(ASKERS)))
    seconds, used = time.perf_counter() - began, _processor_seconds() - used
    await engine.close()
    took.sort()
    at = [took[int(share * (len(took) - 1))] * 1e3 for share in (0.5, 0.99)]
    return Figures(round(count / seconds, 1), round(at[0], 3), round(at[1], 3), round(used / count * 1e6, 1))


def _processor_seconds() -> float:
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children())]
    return float(sum(one.user + one.system for one in times))


async def compare(opa: OpaBinary, folder: Path, count: int, runs: int) -> dict[str, object]:
    """Measure both in turn and return the figures of each run, their medians and the ratio."""
    signer, made = BundleSigner.generate(), build(opa, product_folder("policies"))
    body = signer.sign(made.files, "base", made.revision)
    verified = verify(body, Trust.of_key(signer.public_key), "base")
    keys = {signer.key_id: signer.public_pem}
    sidecar = Sidecar(SidecarOptions(opa, folder, beside(), keys=keys))
    await sidecar.start()
    sidecar.offer("base", body)
    beside_us = OpaTransport(OpaAddress(token=sidecar.token, socket=sidecar.options.socket))
    embedded = EmbeddedTransport()
    began = time.perf_counter()
    await embedded.offer(verified)
    load_ms = (time.perf_counter() - began) * 1e3
    try:
        await _until_ready(beside_us)
        asked, found = questions(), {"opa": list[Figures](), "embedded": list[Figures]()}
        for transport in (beside_us, embedded):
            await measured(transport, asked, 2_000)
        for _ in range(runs):
            found["opa"].append(await measured(beside_us, asked, count))
            found["embedded"].append(await measured(embedded, asked, count))
    finally:
        await embedded.close()
        await beside_us.close()
        await sidecar.stop()
    middle = {name: median(one.decisions_per_second for one in figures) for name, figures in found.items()}
    return {
        "runs": {name: [asdict(one) for one in figures] for name, figures in found.items()},
        "decisions_per_second": middle,
        "ratio": round(middle["embedded"] / middle["opa"], 3),
        "load_ms": round(load_ms, 1),
        "askers": ASKERS,
        "questions": count,
        "cores": os.cpu_count(),
        "opa": ".".join(map(str, opa.version)),
        "python": platform.python_version(),
    }


async def _until_ready(transport: BatchTransport) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await transport.send(b'{"input":{}}', 1.0)
        except BatchFault:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--questions", type=int, default=20_000, help="of each run")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name, closing(uvloop.new_event_loop()) as loop:
        found = loop.run_until_complete(compare(locate_opa(os.environ), Path(name), given.questions, given.runs))
    if given.json:
        print(json.dumps(found))
        return
    for line in _lines(found):
        print(line)


def _lines(found: dict[str, object]) -> Iterator[str]:
    yield f"decisions a second: {found['decisions_per_second']}, embedded over OPA: {found['ratio']}"
    yield f"loading a bundle into the embedded engine: {found['load_ms']} ms"


if __name__ == "__main__":
    main()
