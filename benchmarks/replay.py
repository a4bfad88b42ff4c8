"""How fast recorded decisions are decided again: ``python -m benchmarks.replay --json``.

A store is filled with decisions of the policies' own examples, varied, as the control plane records them; `ztfm policy
replay` then decides all of them again in a process of its own, by a candidate that asks for more trust. What is timed
is the whole command: the interpreter's start, the compilation of the candidate, OPA's start and the report included.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from controlplane.contracts.facts import FACTS
from controlplane.decisions.decider import conclude
from controlplane.decisions.ids import new_id
from controlplane.history.engine import deciding
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import open_store

BEGAN = 1_764_000_000.0
DEVICES = 5_000
_TRUSTS = 40
_WRITTEN = 5_000

Case = tuple[str, dict[str, Any]]
"""A package, and the facts that it decides on."""


def cases() -> list[Case]:
    """Return the policies' examples, each with many degrees of trust."""
    found = []
    for path in sorted(product_folder("policies").glob("ztfm/*/examples/*.json")):
        package = path.parent.parent.name
        if package not in FACTS:
            continue
        facts = json.loads(path.read_bytes())["input"]
        found += [(package, _with_trust(facts, step / _TRUSTS)) for step in range(_TRUSTS)]
    return found


def _with_trust(facts: dict[str, Any], score: float) -> dict[str, Any]:
    properties = facts["subject"].get("properties") or {}
    if "trust" not in properties:
        return facts
    known = {**properties, "trust": {**properties["trust"], "score": score}}
    return {**facts, "subject": {**facts["subject"], "properties": known}}


async def fill(state: Path, count: int) -> None:
    """Record ``count`` decisions in the store of a state folder; each is what the policies really decide."""
    given = cases()
    async with deciding(locate_opa(os.environ), product_folder("policies")) as policies:
        asked = [policies.engine.ask(package, orjson.dumps(facts)) for package, facts in given]
        answers = await asyncio.gather(*asked)
    decided = [
        (package, facts, conclude(answer, package, facts, BEGAN).model_dump())
        for (package, facts), answer in zip(given, answers, strict=True)
    ]
    store = await open_store(f"sqlite+aiosqlite:///{state / 'ztfm.db'}")
    try:
        rows = _rows(decided, count)
        while written := list(islice(rows, _WRITTEN)):
            await store.decisions.add_many(written)
    finally:
        await store.close()


def _rows(
    decided: Sequence[tuple[str, dict[str, Any], dict[str, Any]]], count: int
) -> Iterator[tuple[str, float, str, str, str, bytes]]:
    for number in range(count):
        package, facts, decision = decided[number % len(decided)]
        moment, subject = BEGAN + number / 100, f"dev-{number % DEVICES}"
        identifier = new_id("dec", moment)
        # An owner compares itself with the subject: its name is a fact, and stays.
        subject = decision["subject"] if package in {"admin", "enrolment"} else subject
        named = {**facts, "subject": {**facts["subject"], "id": subject}}
        record = {**decision, "id": identifier, "time": moment, "subject": subject, "facts": named}
        yield identifier, moment, package, subject, decision["outcome"], orjson.dumps(record)


def candidate(folder: Path) -> Path:
    """Return a copy of the policies that asks for a little more trust."""
    made = folder / "candidate"
    shutil.copytree(product_folder("policies"), made)
    path = made / "data" / "limits" / "data.json"
    limits = json.loads(path.read_bytes())
    limits["sensitivities"]["internal"]["trust_minimum"] = 0.6
    path.write_text(json.dumps(limits))
    return made


def measure(count: int) -> dict[str, Any]:
    """Fill a store, replay it, and return the figures."""
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        asyncio.run(fill(state, count))
        command = [sys.executable, "-m", "controlplane.cli", "policy", "replay", "--json", "--limit", str(count)]
        command += ["--candidate", str(candidate(Path(folder))), "--state-dir", str(state)]
        started, before = time.monotonic(), _children_seconds()
        done = subprocess.run(command, capture_output=True, check=False)
        seconds = time.monotonic() - started
        if done.returncode != 1:
            raise RuntimeError(f"replay ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        report = json.loads(done.stdout)
        return {
            "decisions": report["decided"],
            "seconds": round(seconds, 2),
            "cpu_seconds": round(_children_seconds() - before, 2),
            "per_second": round(report["decided"] / seconds),
            "changes": report["changes"],
            "database_bytes": (state / "ztfm.db").stat().st_size,
            "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
            "opa": ".".join(map(str, locate_opa(os.environ).version)),
        }


def _children_seconds() -> float:
    """Processor time of the processes that were waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--decisions", type=int, default=100_000, help="recorded decisions")
    given = parser.parse_args()
    found = measure(given.decisions)
    if given.json:
        print(json.dumps(found))
    else:
        print(f"{found['decisions']:,} decisions in {found['seconds']} s: {found['per_second']:,} a second")


if __name__ == "__main__":
    main()
