import asyncio
import math
from collections import Counter
from collections.abc import Callable

import pytest

from controlplane.contracts.rounds import Round
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.counting import MAX_COUNTED

NewRound = Callable[..., Round]


async def test_every_count_before_is_given_out_once_across_replicas(
    store: Store, replica: Store, new_round: NewRound
) -> None:
    await store.rounds.add(new_round())
    turns = [side.rounds.count_submissions("r1", ["dev-b", "dev-a"]) for side in [store, replica] * 20]
    counts = await asyncio.gather(*turns)
    for name in ("dev-a", "dev-b"):
        assert sorted(count[name] for count in counts) == list(range(40))
        assert await store.rounds.submissions("r1", name) == 40


async def test_replicas_that_count_in_opposite_order_never_block_one_another(store: Store, replica: Store) -> None:
    names = [f"cap-{number}" for number in range(30)]
    given = [dict.fromkeys(names, 1e9), dict.fromkeys(reversed(names), 1e9)]
    turns = [side.capabilities.consume(given[turn % 2]) for turn, side in enumerate([store, replica] * 10)]
    counts = await asyncio.gather(*turns)
    assert Counter(count[names[0]] for count in counts) == Counter(range(20))
    assert all(len(set(count.values())) == 1 for count in counts)


async def test_nothing_is_counted_for_nobody(store: Store) -> None:
    assert await store.rounds.count_submissions("r1", []) == {}
    assert await store.capabilities.consume({}) == {}


async def test_a_subject_that_is_named_twice_is_a_mistake_of_the_caller(store: Store, new_round: NewRound) -> None:
    await store.rounds.add(new_round())
    with pytest.raises(ValueError, match="twice"):
        await store.rounds.count_submissions("r1", ["dev-a", "dev-a"])
    assert await store.rounds.submissions("r1", "dev-a") == 0


async def test_the_number_that_is_counted_at_once_is_bounded(store: Store, new_round: NewRound) -> None:
    await store.rounds.add(new_round())
    many = [f"dev-{number}" for number in range(MAX_COUNTED + 1)]
    with pytest.raises(ValueError, match="at most"):
        await store.rounds.count_submissions("r1", many)
    with pytest.raises(ValueError, match="at most"):
        await store.capabilities.consume(dict.fromkeys(many, 1e9))
    counts = await store.rounds.count_submissions("r1", many[:-1])
    assert len(counts) == MAX_COUNTED
    assert set(counts.values()) == {0}


@pytest.mark.parametrize("expiry", [math.nan, math.inf])
async def test_an_expiry_that_is_no_time_counts_nothing(store: Store, expiry: float) -> None:
    with pytest.raises(ValueError, match=r"."):
        await store.capabilities.consume({"cap-1": 1e9, "cap-2": expiry})
    assert await store.capabilities.consume({"cap-1": 1e9}) == {"cap-1": 0}


async def test_a_round_that_nobody_opened_counts_nothing(store: Store, new_round: NewRound) -> None:
    with pytest.raises(StoreUnavailable, match="count submissions"):
        await store.rounds.count_submissions("r1", ["dev-a"])
    await store.rounds.add(new_round())
    assert await store.rounds.count_submissions("r1", ["dev-a"]) == {"dev-a": 0}


@pytest.mark.parametrize("name", ["dev-'; DROP TABLE submissions; --", 'dev-"\\x', "dev-\u00e4", "1", "null", "[1]"])
async def test_a_name_is_only_a_name(store: Store, new_round: NewRound, name: str) -> None:
    await store.rounds.add(new_round())
    assert await store.rounds.count_submissions("r1", [name]) == {name: 0}
    assert await store.rounds.count_submissions("r1", [name]) == {name: 1}
