import asyncio

import pytest
from sqlalchemy import text

from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.steady import Steady
from tests.clocks import Clock

NOW = 1_767_225_600.0


async def test_of_all_who_use_a_capability_at_once_one_was_first(store: Store, replica: Store) -> None:
    uses = await asyncio.gather(*(side.capabilities.consume({"cap-1": NOW}) for side in [store, replica] * 20))
    assert sorted(use["cap-1"] for use in uses) == list(range(40))


async def test_a_use_that_is_given_back_was_none_and_nothing_goes_below_none(store: Store, replica: Store) -> None:
    await store.capabilities.consume({"cap-1": NOW, "cap-2": NOW})
    await store.capabilities.consume({"cap-2": NOW})
    for side in (store, replica):
        await side.capabilities.give_back(["cap-2", "cap-1", "never-used"])
    await store.capabilities.give_back([])
    assert await store.capabilities.consume({"cap-1": NOW, "cap-2": NOW}) == {"cap-1": 0, "cap-2": 0}


async def test_a_purge_forgets_what_expired_and_nothing_else(store: Store) -> None:
    await store.capabilities.consume({"old": NOW, "new": NOW + 0.5})
    assert await store.capabilities.purge(NOW) == 1
    assert await store.capabilities.consume({"old": NOW, "new": NOW + 0.5}) == {"old": 0, "new": 1}


async def test_old_uses_are_forgotten_on_the_way(store: Store) -> None:
    passed = Clock(0.0)
    store.capabilities._steady = Steady(passed)
    await store.capabilities.consume({f"cap-{number}": NOW for number in range(50)})
    passed.now = 1000.0
    await store.capabilities.consume({"later": NOW + 1000})
    assert await store.capabilities.purge(NOW + 500) == 0


async def test_a_clock_that_jumps_a_day_ahead_and_back_has_no_use_forgotten(store: Store) -> None:
    passed = Clock(0.0)
    store.capabilities._steady = Steady(passed)
    used = {"cap-1": NOW + 300}
    await store.capabilities.consume({"earlier": NOW})
    assert await store.capabilities.consume(used) == {"cap-1": 0}
    for second in range(20, 300, 20):
        passed.now = float(second)
        await store.capabilities.consume({f"of-tomorrow-{second}": NOW + 86_400 + second})
        assert await store.capabilities.consume(used) == {"cap-1": second // 20}


async def test_a_use_is_remembered_although_another_clock_is_ahead(store: Store) -> None:
    expiring = {"cap-1": NOW + 1}
    assert await store.capabilities.consume(expiring) == {"cap-1": 0}
    # Minted for the longest time by a replica whose clock is 30 s ahead.
    await store.capabilities.consume({"cap-2": NOW + 30 + 300})
    assert await store.capabilities.consume(expiring) == {"cap-1": 1}


async def test_when_forgetting_fails_nothing_was_used_up(url: str, store: Store) -> None:
    await store.capabilities.consume({"old": NOW - 1000})
    store.capabilities._steady = Steady()
    await _break_deletes(store, url)
    with pytest.raises(StoreUnavailable, match="forget expired"):
        await store.capabilities.consume({"cap-1": NOW})
    await store._database.change("mend it", text(_MEND[url.partition("+")[0]]))
    assert await store.capabilities.consume({"cap-1": NOW}) == {"cap-1": 0}


_MEND = {"sqlite": "DROP TRIGGER broken", "postgresql": "DROP TRIGGER broken ON capability_uses"}


async def _break_deletes(store: Store, url: str) -> None:
    if url.startswith("sqlite"):
        statements = [
            "CREATE TRIGGER broken BEFORE DELETE ON capability_uses BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        ]
    else:
        statements = [
            "CREATE FUNCTION broken() RETURNS trigger AS $$ BEGIN RAISE 'disk is full'; END $$ LANGUAGE plpgsql",
            "CREATE TRIGGER broken BEFORE DELETE ON capability_uses FOR EACH ROW EXECUTE FUNCTION broken()",
        ]
    for statement in statements:
        await store._database.change("break the table", text(statement))
