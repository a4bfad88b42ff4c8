"""A control plane that is killed under load: whatever it granted is on record, and the log is sound."""

import asyncio
import json
import os
import random
import signal
import tempfile
import threading
import time
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from benchmarks.household import Enrolled, database_of, enrol
from controlplane.audit.checking import check
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store
from tests.controlplane.cli.processes import opa_of, serve
from tests.support import MODEL, wait_until

KILLS = int(os.environ.get("ZTFM_KILLS", "2"))
"""Deaths; as many as an option asks for."""

THREADS = 3
ASKED = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
}


def asked(url: str, key: DeviceKey, given: list[str], ended: threading.Event) -> None:
    """Ask until it is over; keep the decision of each capability."""
    place = f"{url}/v1/capabilities"
    while not ended.is_set():
        proof = make_proof(key, method="POST", url=place, now=time.time())
        headers = {"Content-Type": "application/json", "DPoP": proof}
        request = urllib.request.Request(place, json.dumps(ASKED).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                given.append(json.load(response)["decision_id"])
        except (OSError, ValueError):
            time.sleep(0.02)


def _more_than(given: list[str], many: int) -> bool:
    return len(given) > many


async def _enrolled(state: Path) -> list[DeviceKey]:
    store = await open_store(database_of(state))
    try:
        return await enrol(store, [Enrolled("consumer", "homes")] * THREADS)
    finally:
        await store.close()


async def _left(state: Path, given: list[str]) -> tuple[list[str], list[str], int]:
    """Return what is lost of what was given out, what is wrong with the log, and how many entries it has."""
    store = await open_store(database_of(state))
    try:
        kept = await store.decisions.documents(given)
        found = await check(store.log, store.decisions, lambda _: None)
        return sorted(set(given) - kept.keys()), [fault.message for fault in found.faults], found.entries
    finally:
        await store.close()


@pytest.mark.timeout(60 + 40 * KILLS)
def test_whatever_was_granted_before_a_death_is_on_record_and_the_log_is_sound() -> None:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        state, given, chance = Path(folder), list[str](), random.Random(7)
        keys = asyncio.run(_enrolled(state))
        for life in range(1, KILLS + 1):
            with serve(state, "--workers", "1") as (process, line):
                ended, before = threading.Event(), len(given)
                threads = [threading.Thread(target=asked, args=(line["url"], key, given, ended)) for key in keys]
                for thread in threads:
                    thread.start()
                wait_until(partial(_more_than, given, before + 5), what=f"capabilities of life {life}")
                time.sleep(chance.uniform(0.0, 0.3))
                process.send_signal(signal.SIGKILL)
                process.wait()
                ended.set()
                for thread in threads:
                    thread.join()
            wait_until(lambda: opa_of(state) == [], what="the end of its OPA")
        lost, faults, entries = asyncio.run(_left(state, given))
        assert (lost, faults) == ([], [])
        assert entries >= len(given) > 5 * KILLS
