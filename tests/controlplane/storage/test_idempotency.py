import asyncio

import pytest

from controlplane.storage import Store
from controlplane.storage.idempotency import Idempotency, KeptAnswer

NOW = 1_767_225_600.0
UNTIL = NOW + 60.0


async def test_a_key_is_taken_once_by_whoever_comes_first(store: Store, replica: Store) -> None:
    tries = [side.idempotency.claim("k", "r", NOW, UNTIL) for side in [store, replica] * 10]
    found = await asyncio.gather(*tries)
    assert found.count("claimed") == 1
    assert [one for one in found if one != "claimed"] == [KeptAnswer("r", 0, None)] * 19


async def test_an_answer_reads_back_at_every_replica_until_its_time_is_over(store: Store, replica: Store) -> None:
    assert await store.idempotency.claim("k", "r", NOW, UNTIL) == "claimed"
    assert await store.idempotency.keep("k", UNTIL, 201, b"sealed", NOW + 600.0)
    kept = KeptAnswer("r", 201, b"sealed")
    assert await replica.idempotency.claim("k", "r", NOW + 599.0, NOW + 700.0) == kept
    assert await replica.idempotency.claim("k", "other", NOW + 599.0, NOW + 700.0) == kept
    assert await replica.idempotency.claim("k", "other", NOW + 600.0, NOW + 700.0) == "claimed"


async def test_a_claim_that_was_lost_keeps_nothing_and_gives_nothing_back(store: Store, replica: Store) -> None:
    assert await store.idempotency.claim("k", "r", NOW, UNTIL) == "claimed"
    assert await replica.idempotency.claim("k", "r", UNTIL, UNTIL + 60.0) == "claimed"
    assert not await store.idempotency.keep("k", UNTIL, 201, b"late", NOW + 600.0)
    await store.idempotency.release("k", UNTIL)
    assert await store.idempotency.claim("k", "r", UNTIL, UNTIL + 60.0) == KeptAnswer("r", 0, None)


async def test_a_key_that_was_given_back_is_free_and_an_answer_cannot_be_given_back(store: Store) -> None:
    assert await store.idempotency.claim("k", "r", NOW, UNTIL) == "claimed"
    await store.idempotency.release("k", UNTIL)
    assert await store.idempotency.claim("k", "other", NOW, UNTIL) == "claimed"
    assert await store.idempotency.keep("k", UNTIL, 200, None, NOW + 600.0)
    await store.idempotency.release("k", NOW + 600.0)
    assert await store.idempotency.claim("k", "other", NOW, UNTIL) == KeptAnswer("other", 200, None)


async def test_there_is_room_for_so_many_and_a_purge_makes_room(store: Store) -> None:
    few = Idempotency(store._database, most=2)
    assert [await few.claim(name, "r", NOW, UNTIL) for name in "abc"] == ["claimed", "claimed", "full"]
    assert await few.claim("a", "r", NOW, UNTIL) == KeptAnswer("r", 0, None)
    assert await few.purge(UNTIL) == 2
    assert await few.claim("c", "r", UNTIL, UNTIL + 1.0) == "claimed"


@pytest.mark.parametrize("at", [NOW, UNTIL - 0.001])
async def test_a_purge_forgets_nothing_whose_time_is_not_over(store: Store, at: float) -> None:
    assert await store.idempotency.claim("k", "r", NOW, UNTIL) == "claimed"
    assert await store.idempotency.purge(at) == 0
