"""What replicas count together in PostgreSQL: by its clock, each change in one statement, and forgotten in time."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage import limits as module
from controlplane.storage.limits import Limits
from tests.servers.postgres import PostgresServer

FAST = 1e6
"""Requests a second of an allowance that is whole again at once."""


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two replicas' stores."""
    both = await open_store(postgres_url), await open_store(postgres_url)
    yield both
    for one in both:
        await one.close()


@pytest.fixture
def one(stores: tuple[Store, Store]) -> Limits:
    return stores[0].limits


@pytest.fixture
def other(stores: tuple[Store, Store]) -> Limits:
    return stores[1].limits


async def test_of_replicas_that_claim_the_same_proofs_at_once_one_gets_each(one: Limits, other: Limits) -> None:
    until = time.time() + 60.0
    for number in range(20):
        # In another order at each: they must not wait for one another in a ring.
        names = [f"p{number}-{place}" for place in range(40)]
        first, second = await asyncio.gather(
            one.claim(dict.fromkeys(names, until)), other.claim(dict.fromkeys(reversed(names), until))
        )
        assert first | second == set(names)
        assert not first & second


async def test_what_has_expired_by_the_databases_clock_is_not_new(one: Limits) -> None:
    assert await one.claim({"late": time.time() - 0.1, "early": time.time() + 60.0}) == {"early"}


async def test_an_allowance_is_leased_in_whole_requests_and_never_more_than_it_holds(
    one: Limits, other: Limits
) -> None:
    slow = 1e-6
    assert (await one.lease({"a": 3, "b": 1}, slow, 5.0))["a"].granted == 3
    assert (await other.lease({"a": 3}, slow, 5.0))["a"].granted == 2
    empty = (await one.lease({"a": 3}, slow, 5.0))["a"]
    assert empty.granted == 0
    assert empty.full_in == pytest.approx(5.0 / slow)
    assert (await other.lease({"b": 9}, slow, 5.0))["b"].granted == 4


async def test_what_is_charged_is_owed_at_every_replica_and_what_is_given_back_is_there(
    one: Limits, other: Limits
) -> None:
    slow = 1e-6
    await one.charge({"a": 7}, slow)
    assert (await other.lease({"a": 1}, slow, 5.0))["a"].granted == 0
    await other.charge({"a": -4}, slow)
    assert (await one.lease({"a": 5}, slow, 5.0))["a"].granted == 2


async def test_an_allowance_fills_with_time_and_no_further(one: Limits) -> None:
    assert (await one.lease({"a": 5}, FAST, 5.0))["a"].granted == 5
    await asyncio.sleep(0.001)
    assert (await one.lease({"a": 9}, FAST, 5.0))["a"].granted == 5


async def test_numbers_are_given_once_over_all_replicas(one: Limits, other: Limits) -> None:
    found = await asyncio.gather(*((one, other)[place % 2].count({"a": (3, 10)}, 86_400) for place in range(30)))
    assert sorted(run["a"].requests for run in found) == list(range(0, 90, 3))
    assert sorted(run["a"].tokens for run in found) == list(range(0, 300, 10))


async def test_what_is_given_back_is_counted_no_more(one: Limits, other: Limits) -> None:
    run = (await one.count({"a": (8, 80)}, 86_400))["a"]
    await other.give_back({(run.starts_at, "a"): (6, 60), (run.starts_at, "b"): (1, 1), (0, "a"): (1, 1)})
    left = (await one.count({"a": (0, 0)}, 86_400))["a"]
    assert (left.requests, left.tokens) == (2, 20)
    await one.give_back({(run.starts_at, "a"): (99, 99)})
    assert (await other.count({"a": (0, 0)}, 86_400))["a"].requests == 0


async def test_what_was_used_in_the_window_before_is_told(one: Limits) -> None:
    # A window of a second: the next one begins soon.
    run = (await one.count({"a": (4, 40)}, 1))["a"]
    after = run
    while after.starts_at == run.starts_at:
        after = (await one.count({"a": (0, 0)}, 1))["a"]
    assert (after.requests, after.requests_before, after.tokens_before) == (0, 4, 40)
    assert after.starts_at == run.starts_at + 1
    assert 0.0 <= after.elapsed < 1.0


async def test_what_has_had_its_time_is_forgotten_and_nothing_else(
    one: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    await one.claim({"soon": time.time() + 0.2, "late": time.time() + 60.0})
    await one.lease({"idle": 1}, FAST, 5.0)
    await one.lease({"busy": 1}, 0.01, 5.0)
    run = (await one.count({"a": (1, 1)}, 1))["a"]
    await asyncio.sleep(max(0.0, run.starts_at + 3 - time.time()))
    while (await one.count({"b": (1, 1)}, 1))["b"].starts_at < run.starts_at + 3:
        pass
    assert await one.purge(1) >= 3
    assert await one.claim({"late": time.time() + 60.0}) == set()
    assert (await one.lease({"busy": 5}, 0.01, 5.0))["busy"].granted == 4
    assert await one.purge(1) <= 1, "the second window of b, at most"


async def test_without_the_database_nothing_is_counted(postgres: PostgresServer, one: Limits) -> None:
    await one.claim({"a": time.time() + 60.0})
    postgres.stop()
    try:
        for asked in (
            one.claim({"b": time.time() + 60.0}),
            one.lease({"b": 1}, 1.0, 5.0),
            one.charge({"b": 1}, 1.0),
            one.count({"b": (1, 1)}, 60),
        ):
            with pytest.raises(StoreUnavailable):
                await asked
    finally:
        postgres.start()
    assert await one.claim({"a": time.time() + 60.0, "b": time.time() + 60.0}) == {"b"}
