"""Accounts of privacy budgets: exact across replicas, whole after a crash, bounded, and never given back."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.contracts.privacy import Account, Mechanism, PrivacyTerms
from controlplane.storage import Store, open_store
from controlplane.storage.privacy import EARLIER, MAX_CHARGES, Spent, day_of
from tests.controlplane.storage.conftest import NOW

ACCOUNT = Account("devices", "dev-a", "falls")
OTHER = Account("devices", "dev-b", "falls")
WHOLE = Account("data-sets", "falls", "falls")
NOISE = Mechanism("local", 16.0, 1.0)
MORE = Mechanism("local", 32.0, 0.1)
TODAY = day_of(NOW)
DAY = 86_400.0


async def test_an_account_that_nobody_charged_is_empty(store: Store) -> None:
    assert await store.privacy.spent(ACCOUNT) == Spent(0, {})


async def test_equal_charges_of_a_day_are_one_row_with_a_number(store: Store) -> None:
    moments = [(NOISE, NOW), (NOISE, NOW + 60.0), (MORE, NOW), (NOISE, NOW + DAY)]
    for before, (mechanism, now) in enumerate(moments):
        assert await store.privacy.charge(ACCOUNT, mechanism, before, now)
    assert await store.privacy.spent(ACCOUNT) == Spent(4, {TODAY: {NOISE: 2, MORE: 1}, TODAY + 1: {NOISE: 1}})
    assert await store.privacy.spent(OTHER) == Spent(0, {})


async def test_whoever_saw_another_number_charges_nothing(store: Store) -> None:
    assert not await store.privacy.charge(ACCOUNT, NOISE, 1, NOW)
    assert await store.privacy.charge(ACCOUNT, NOISE, 0, NOW)
    for seen in (0, 2, MAX_CHARGES):
        assert not await store.privacy.charge(ACCOUNT, NOISE, seen, NOW)
    assert await store.privacy.spent(ACCOUNT) == Spent(1, {TODAY: {NOISE: 1}})


async def test_of_replicas_that_saw_the_same_one_charges(store: Store, replica: Store) -> None:
    for seen in range(3):
        tries = [one.privacy.charge(ACCOUNT, NOISE, seen, NOW) for one in (store, replica) * 10]
        assert sorted(await asyncio.gather(*tries)) == [False] * 19 + [True]
    assert await replica.privacy.spent(ACCOUNT) == Spent(3, {TODAY: {NOISE: 3}})


async def test_a_clock_that_is_set_back_has_nothing_leave_a_window_earlier(store: Store) -> None:
    for before, now in enumerate((NOW, NOW - 5 * DAY, NOW - DAY, NOW + DAY)):
        assert await store.privacy.charge(ACCOUNT, NOISE, before, now)
    assert await store.privacy.charge(OTHER, NOISE, 0, NOW - 5 * DAY)
    assert await store.privacy.spent(ACCOUNT) == Spent(4, {TODAY: {NOISE: 3}, TODAY + 1: {NOISE: 1}})
    assert await store.privacy.spent(OTHER) == Spent(1, {TODAY - 5: {NOISE: 1}})


async def test_what_is_long_ago_is_put_together_and_nothing_of_it_is_lost(store: Store) -> None:
    for before in range(6):
        assert await store.privacy.charge(ACCOUNT, NOISE, before, NOW + (before // 2 - 2) * DAY)
    assert await store.privacy.gather(TODAY) == 1
    assert await store.privacy.spent(ACCOUNT) == Spent(6, {TODAY: {NOISE: 2}, EARLIER: {NOISE: 4}})
    assert await store.privacy.gather(TODAY) == 0
    assert await store.privacy.gather(TODAY + 1) == 0
    assert await store.privacy.spent(ACCOUNT) == Spent(6, {EARLIER: {NOISE: 6}})


async def test_accounts_are_found_by_whose_they_are_and_the_fullest_first(store: Store) -> None:
    for before in range(3):
        assert await store.privacy.charge(OTHER, NOISE, before, NOW)
    assert await store.privacy.charge(ACCOUNT, NOISE, 0, NOW)
    assert await store.privacy.charge(WHOLE, NOISE, 0, NOW)
    assert await store.privacy.of("devices", "dev-a") == [ACCOUNT]
    assert await store.privacy.of("devices", "no identifier") == []
    assert await store.privacy.data_sets() == ["falls"]
    assert await store.privacy.devices("falls") == 2
    assert await store.privacy.fullest("falls", "devices", TODAY) == [OTHER, ACCOUNT]
    assert await store.privacy.fullest("falls", "devices", TODAY, 1) == [OTHER]
    assert await store.privacy.fullest("falls", "devices", TODAY + 1) == []
    # One with little noise outweighs three with much.
    assert await store.privacy.charge(ACCOUNT, Mechanism("local", 4.0, 1.0), 1, NOW)
    assert await store.privacy.fullest("falls", "devices", TODAY) == [ACCOUNT, OTHER]


async def test_a_round_keeps_what_it_was_charged_for(store: Store, new_round) -> None:  # type: ignore[no-untyped-def]
    terms = PrivacyTerms(
        mode="central", data_set="falls", clip_norm=1.0, noise_multiplier=4.0, sampling=0.5, delta=1e-6
    )
    assert await store.rounds.add(new_round(privacy=terms))
    assert await store.rounds.add(new_round(id="r2"))
    kept, bare = await store.rounds.get("r1"), await store.rounds.get("r2")
    assert kept is not None
    assert kept.privacy == terms
    assert bare is not None
    assert bare.privacy is None
    assert await store.rounds.standing("r1", NOW) is not None


_CHARGE = """
import asyncio, sys
from controlplane.contracts.privacy import Account, Mechanism
from controlplane.storage import open_store

async def run():
    store = await open_store(sys.argv[1])
    account, noise = Account("devices", "dev-a", "falls"), Mechanism("local", 16.0, 1.0)
    while True:
        before = (await store.privacy.spent(account)).charges
        if await store.privacy.charge(account, noise, before, 1767225600.0):
            # What was told to anybody: the capability would be minted now.
            print(before + 1, flush=True)

asyncio.run(run())
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_charge_that_anybody_was_told_of_is_never_lost_to_a_kill(tmp_path: Path, seed: int) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    told = 0

    async def kept() -> Spent:
        store = await open_store(url)
        spent = await store.privacy.spent(ACCOUNT)
        await store.close()
        return spent

    for _ in range(2):
        charging = subprocess.Popen([sys.executable, "-c", _CHARGE, url], stdout=subprocess.PIPE, text=True)
        assert charging.stdout is not None
        for _ in range(random.Random(seed + told).randint(1, 60)):
            told = int(charging.stdout.readline())
        os.kill(charging.pid, signal.SIGKILL)
        # What it still told before it died counts as well.
        told = max([told, *(int(line) for line in charging.stdout.read().split())])
        charging.wait()
        charging.stdout.close()
        spent = asyncio.run(kept())
        # At most one more than was told, and the number and what was charged never differ.
        assert told <= spent.charges <= told + 1
        assert spent.days == {TODAY: {NOISE: spent.charges}}
