"""Holds as they are kept: begun once, never prolonged, bounded, ended once, forgotten."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.contracts.holds import Hold, hold_state
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage.holds import Holds, hold_id
from tests.controlplane.storage.conftest import NOW

New = Callable[..., Hold]


@pytest.fixture
def new() -> New:
    def make(number: int = 1, **changes: Any) -> Hold:
        fingerprint = f"{number:016x}"
        known = {
            "id": hold_id(fingerprint, NOW - 30.0),
            "segment": "homes",
            "actions": ["gradient_submission"],
            "alert": "ZtfmPoisoningCampaign",
            "fingerprint": fingerprint,
            "alert_started_at": NOW - 30.0,
            "starts_at": NOW,
            "ends_at": NOW + 900.0,
            "decision_id": "dec-1",
        }
        return Hold(**{**known, **changes}, state=hold_state(NOW + 900.0, None, NOW))

    return make


async def test_what_is_begun_is_there_as_it_was_until_it_ends(store: Store, new: New) -> None:
    begun = await store.holds.begin(new(actions=["inference", "model_access"], segment="*"))
    assert (begun.how, begun.hold) == ("begun", await store.holds.get(new().id, NOW))
    assert await store.holds.current(NOW + 899.9) == [begun.hold]
    assert await store.holds.current(NOW + 900.0) == []
    ended = await store.holds.get(new().id, NOW + 900.0)
    assert ended is not None
    assert ended.state == "expired"


async def test_the_same_again_is_not_prolonged_whatever_became_of_it(store: Store, new: New) -> None:
    first = (await store.holds.begin(new())).hold
    later = await store.holds.begin(new(starts_at=NOW + 600.0, ends_at=NOW + 1500.0, segment="guests"))
    assert (later.how, later.hold) == ("known", first)
    after = await store.holds.begin(new(starts_at=NOW + 1000.0, ends_at=NOW + 1900.0))
    assert after.how == "known"
    assert after.hold is not None
    assert (after.hold.state, after.hold.ends_at) == ("expired", NOW + 900.0)
    assert await store.holds.current(NOW + 1000.0) == []


async def test_only_so_many_last_at_once_and_what_ended_makes_room(store: Store, new: New) -> None:
    few = Holds(store.holds._database, most=2)
    assert [(await few.begin(new(number))).how for number in (1, 2, 3)] == ["begun", "begun", "full"]
    assert (await few.begin(new(2))).how == "known"
    assert await few.release(new(1).id, "adm-1", "over", NOW + 1.0)
    assert (await few.begin(new(3, starts_at=NOW + 1.0))).how == "begun"
    assert (await few.begin(new(4, starts_at=NOW + 900.0, ends_at=NOW + 901.0))).how == "begun"


async def test_the_bound_is_exact_when_all_ask_at_once(url: str, new: New) -> None:
    stores = [await open_store(url), await open_store(url)]
    try:
        few = [Holds(store.holds._database, most=3) for store in stores]
        asked = [few[number % 2].begin(new(number // 2)) for number in range(16)]
        found = [begun.how for begun in await asyncio.gather(*asked)]
        assert found.count("begun") == 3
        assert len(await few[0].current(NOW)) == 3
    finally:
        for store in stores:
            await store.close()


async def test_a_release_ends_it_once_and_says_who_and_why(store: Store, new: New) -> None:
    await store.holds.begin(new())
    assert await store.holds.release(new().id, "adm-1", "A faulty batch.", NOW + 5.0)
    assert not await store.holds.release(new().id, "adm-2", "Again.", NOW + 6.0)
    assert not await store.holds.release("hold-nobody-knows", "adm-1", "x", NOW)
    found = await store.holds.get(new().id, NOW + 7.0)
    assert found is not None
    assert (found.state, found.released_at, found.released_by, found.release_reason) == (
        "released",
        NOW + 5.0,
        "adm-1",
        "A faulty batch.",
    )
    assert await store.holds.current(NOW + 5.0) == []


async def test_what_has_ended_is_listed_when_it_is_asked_for(store: Store, new: New) -> None:
    await store.holds.begin(new(1))
    await store.holds.begin(new(2, starts_at=NOW + 1.0, ends_at=NOW + 2.0))
    assert [one.fingerprint[-1] for one in await store.holds.page(NOW + 3.0)] == ["1"]
    assert [one.fingerprint[-1] for one in await store.holds.page(NOW + 3.0, ended=True)] == ["2", "1"]
    assert len(await store.holds.page(NOW + 3.0, limit=1, ended=True)) == 1


async def test_what_ended_long_ago_is_forgotten(store: Store, new: New) -> None:
    await store.holds.begin(new())
    assert await store.holds.purge(NOW + 900.0) == 0
    assert await store.holds.purge(NOW + 900.1) == 1
    assert await store.holds.get(new().id, NOW) is None


async def test_a_name_that_is_none_is_of_nothing(store: Store) -> None:
    for name in ("", "x'; DROP TABLE holds", "é"):
        assert await store.holds.get(name, NOW) is None


async def test_a_row_that_we_did_not_write_makes_the_store_unavailable(store: Store, new: New) -> None:
    await store.holds.begin(new())
    await store.holds._database.change("break", text("UPDATE holds SET actions = '[\"everything\"]'"))
    with pytest.raises(StoreUnavailable):
        await store.holds.current(NOW)


def test_an_alert_and_its_start_name_the_hold() -> None:
    names = {hold_id(print_, start) for print_ in ("0" * 16, "1" * 16) for start in (NOW, NOW + 1e-5, NOW + 1.0)}
    assert len(names) == 6
    assert hold_id("0" * 16, NOW + 1e-8) == hold_id("0" * 16, NOW)
