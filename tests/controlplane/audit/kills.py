"""Kill whoever records decisions, at random points, and look at what is left of the log.

``python -m tests.controlplane.audit.kills --times 200``. A process of its own records decisions, 16 at a time, and
signs heads; it says of each decision that it could be given out now. It is killed after a random time, again and again,
on one database. After each death every decision that was given out must be on record with its entry, what was added
must be sound, and the log must begin with the head that was signed before. What was looked at once is not read again
until the end, when the whole log is: it must be sound, and begin with every head that was left by any death.
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
from pathlib import Path

from controlplane.audit import AuditLog
from controlplane.audit.heads import Heads
from controlplane.storage import Store, open_store
from controlplane.transparency.keys import new_signer
from controlplane.transparency.notes import Signer
from tests.controlplane.audit.remains import DATABASE, Remains, Survived

AT_ONCE = 16
LONGEST_SECONDS = 0.15
_RECORD = json.dumps({"facts": "x" * 1500}).encode()


class Unseen:
    def head(self, size: int, time: float, witnesses: int, needed: int) -> None:
        """Show nothing."""

    def rewritten(self) -> None:
        """Show nothing."""

    def witness(self, name: str, result: str) -> None:
        """Show nothing."""


def kill_many(folder: Path, times: int, seed: int = 0) -> Survived:
    """Kill a recording process so often, and return what was left."""
    chance, signer = random.Random(seed), new_signer("killed", "note")
    remains = Remains(folder, _RECORD)
    begun = time.monotonic()
    asyncio.run(_made(folder))
    for life in range(times):
        given = _live_and_die(folder, signer, life, chance.uniform(0.0, LONGEST_SECONDS))
        asyncio.run(_look(folder, remains, given))
    asyncio.run(_look_at_all(folder, remains))
    remains.found.seconds = round(time.monotonic() - begun, 1)
    return remains.found


async def _made(folder: Path) -> None:
    async with _opened(folder):
        pass


async def _look(folder: Path, remains: Remains, given: list[str]) -> None:
    async with _opened(folder) as store:
        await remains.look(store, given)


async def _look_at_all(folder: Path, remains: Remains) -> None:
    async with _opened(folder) as store:
        await remains.look_at_all(store)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{folder / DATABASE}")
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
        heads = Heads(store.log, signer, [], 0, Unseen(), time.time)
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
