"""Kill whoever records decisions, at random points, and look at what is left of the log.

``python -m tests.controlplane.audit.kills --times 200``. A process of its own records decisions, 16 at a time, and
signs heads; it says of each decision that it could be given out now. It is killed after a random time, again and again,
on one database. After each death every decision that was given out must be on record with its entry, the log must be
sound, and it must begin with every head that was ever signed.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.audit import AuditLog
from controlplane.audit.checking import check
from controlplane.audit.heads import Heads
from controlplane.storage import Store, open_store
from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.keys import new_signer
from controlplane.transparency.merkle import Peaks
from controlplane.transparency.notes import Note, Signer

AT_ONCE = 16
LONGEST_SECONDS = 0.15
_RECORD = json.dumps({"facts": "x" * 1500}).encode()


class _Unseen:
    def head(self, size: int, time: float, witnesses: int, needed: int) -> None:
        """Show nothing."""

    def rewritten(self) -> None:
        """Show nothing."""

    def witness(self, name: str, result: str) -> None:
        """Show nothing."""


@dataclass
class Survived:
    """What was left after all deaths.

    Attributes:
        kills: deaths.
        given: decisions that were given out.
        lost: of these, those that are not on record with an entry.
        entries: of the log.
        heads: that were signed.
        faults: of the log, in sentences.
    """

    kills: int = 0
    given: int = 0
    lost: list[str] = field(default_factory=list)
    entries: int = 0
    heads: int = 0
    faults: list[str] = field(default_factory=list)


def kill_many(folder: Path, times: int, seed: int = 0) -> Survived:
    """Kill a recording process so often, and return what was left."""
    chance, signer, survived = random.Random(seed), new_signer("killed", "note"), Survived()
    heads: dict[int, bytes] = {}
    asyncio.run(_made(folder))
    for life in range(times):
        given = _live_and_die(folder, signer, life, chance.uniform(0.0, LONGEST_SECONDS))
        survived.kills += 1
        survived.given += len(given)
        asyncio.run(_look(folder, given, heads, survived))
    survived.heads = len(heads)
    return survived


async def _made(folder: Path) -> None:
    async with _opened(folder):
        pass


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{folder / 'ztfm.db'}")
    try:
        yield store
    finally:
        await store.close()


def _live_and_die(folder: Path, signer: Signer, life: int, seconds: float) -> list[str]:
    """Fork a process that records, kill it, and return the decisions that it gave out."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(_record(folder, signer, life, writing))
        finally:
            os._exit(1)
    os.close(writing)
    said = b""
    begun = None
    while chunk := os.read(reading, 1 << 16):
        if begun is None:
            begun = time.monotonic()
        said += chunk
        if time.monotonic() - begun >= seconds:
            os.kill(child, signal.SIGKILL)
    os.close(reading)
    os.waitpid(child, 0)
    # What was cut off in the middle of its line was not given out.
    return said.decode().split("\n")[1:-1]


async def _record(folder: Path, signer: Signer, life: int, out: int) -> None:
    async with _opened(folder) as store, AuditLog(store.decisions) as log:
        heads = Heads(store.log, signer, [], 0, _Unseen(), time.time)
        os.write(out, b"begun\n")

        async def _some(one: int) -> None:
            number = 0
            while True:
                number += 1
                name = f"dec-{life}-{one}-{number}"
                await log.record(name, time.time(), "inference", "dev-1", "allow", _RECORD)
                os.write(out, f"{name}\n".encode())

        async def _sign() -> None:
            while True:
                await heads.advance()
                await asyncio.sleep(0.01)

        await asyncio.gather(_sign(), *(_some(one) for one in range(AT_ONCE)))


async def _look(folder: Path, given: list[str], heads: dict[int, bytes], survived: Survived) -> None:
    async with _opened(folder) as store:
        for start in range(0, len(given), 500):
            some = given[start : start + 500]
            recorded = await store.decisions.documents(some)
            survived.lost += [name for name in some if recorded.get(name) != _RECORD]
        for name in given[-AT_ONCE:]:
            if await store.log.find(name) is None:
                survived.lost.append(name)
        found = await check(store.log, store.decisions, lambda _: None)
        survived.entries = found.entries
        survived.faults += [fault.message for fault in found.faults]
        await _begins_with(store, heads, survived)


async def _begins_with(store: Store, heads: dict[int, bytes], survived: Survived) -> None:
    kept = await store.log.checkpoint()
    if kept is not None:
        checkpoint = Checkpoint.parse(Note.parse(kept[2]).text)
        heads[checkpoint.size] = checkpoint.root
    peaks = Peaks()
    while page := await store.log.leaves(peaks.size, 4096):
        for leaf in page:
            peaks.extend([leaf])
            if peaks.size in heads and peaks.root != heads[peaks.size]:
                survived.faults.append(f"the head of {peaks.size} entries is not what was signed")
    if heads and max(heads) > peaks.size:
        survived.faults.append("entries are gone that were signed")


def main() -> None:
    """Kill, and print what was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ztfm-kills-") as folder:
        found = kill_many(Path(folder), options.times, options.seed)
    print(json.dumps(vars(found)))
    raise SystemExit(1 if found.lost or found.faults else 0)


if __name__ == "__main__":
    main()
