"""Granted exceptions as they are kept: added within bounds, ended once, counted, listed, forgotten."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.contracts.exceptions import MAX_ALIKE, GrantedException, state_at
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.exceptions import Exceptions, Uses
from tests.controlplane.storage.conftest import NOW

New = Callable[..., GrantedException]


@pytest.fixture
def new() -> New:
    def make(number: int = 1, **changes: Any) -> GrantedException:
        known = {
            "id": f"exc-{number:032x}",
            "subject": "dev-1",
            "resource": "m",
            "action": "inference",
            "waives": ["trust_sufficient"],
            "reason": "Bench test.",
            "approver": "adm-1",
            "granted_at": NOW,
            "starts_at": NOW,
            "ends_at": NOW + 60.0,
            "uses": 0,
        }
        made = {**known, **changes}
        state = state_at(made["starts_at"], made["ends_at"], made.get("revoked_at"), NOW)
        return GrantedException(**made, state=state)

    return make


def ids(found: list[Any]) -> list[str]:
    return [item.id for item in found]


async def test_what_was_added_is_found_whole(store: Store, new: New) -> None:
    made = new(waives=["trust_sufficient", "window_open"])
    assert await store.exceptions.add(made)
    assert await store.exceptions.get(made.id, NOW) == made
    assert await store.exceptions.get("exc-none", NOW) is None
    assert await store.exceptions.get("no\x00name", NOW) is None


async def test_it_stands_as_the_time_says_at_the_very_edges(store: Store, new: New) -> None:
    await store.exceptions.add(new(starts_at=NOW + 10.0))
    for now, state in ((NOW + 9.99, "scheduled"), (NOW + 10.0, "current"), (NOW + 59.99, "current")):
        (found,) = await store.exceptions.page(now)
        assert found.state == state
        assert ids(await store.exceptions.page(now, (found.state,))) == [found.id]
        assert ids(await store.exceptions.live(now)) == [found.id]
    assert [item.state for item in await store.exceptions.page(NOW + 60.0)] == ["expired"]
    assert await store.exceptions.page(NOW + 60.0, ("scheduled", "current", "revoked")) == []
    assert await store.exceptions.live(NOW + 60.0) == []


async def test_a_revocation_ends_it_once_and_for_good(store: Store, new: New) -> None:
    made = new()
    await store.exceptions.add(made)
    assert await store.exceptions.revoke(made.id, "adm-2", NOW + 1.0)
    assert not await store.exceptions.revoke(made.id, "adm-3", NOW + 2.0)
    found = await store.exceptions.get(made.id, NOW + 2.0)
    assert found is not None
    assert (found.state, found.revoked_by, found.revoked_at) == ("revoked", "adm-2", NOW + 1.0)
    assert await store.exceptions.live(NOW + 2.0) == []
    assert await store.exceptions.revoked(NOW + 2.0) == {made.id}
    assert ids(await store.exceptions.page(NOW + 2.0, ("revoked",))) == [made.id]


async def test_what_has_expired_is_not_revoked_as_well(store: Store, new: New) -> None:
    made = new()
    await store.exceptions.add(made)
    assert not await store.exceptions.revoke(made.id, "adm-1", NOW + 60.0)
    assert not await store.exceptions.revoke("exc-none", "adm-1", NOW)


async def test_few_are_for_one_request_and_many_for_all(store: Store, new: New) -> None:
    for number in range(MAX_ALIKE):
        assert await store.exceptions.add(new(number))
    assert not await store.exceptions.add(new(99))
    assert await store.exceptions.add(new(100, resource="other"))
    assert await store.exceptions.revoke(new(0).id, "adm-1", NOW)
    assert await store.exceptions.add(new(101))
    full = Exceptions(store._database, most=MAX_ALIKE + 1)
    assert not await full.add(new(102, resource="third"))


async def test_a_page_is_newest_first_and_goes_on(store: Store, new: New) -> None:
    for number in range(1, 6):
        await store.exceptions.add(new(number, subject=f"dev-{number % 2}"))
    first = await store.exceptions.page(NOW, limit=2)
    assert ids(first) == [new(5).id, new(4).id]
    assert ids(await store.exceptions.page(NOW, before=first[-1].id, limit=9)) == [new(n).id for n in (3, 2, 1)]
    assert ids(await store.exceptions.page(NOW, subject="dev-0")) == [new(4).id, new(2).id]
    assert ids(await store.exceptions.live(NOW, new(2).id, 2)) == [new(3).id, new(4).id]


async def test_the_mark_becomes_another_by_whatever_changes_what_is_current(store: Store, new: New) -> None:
    marks = [await store.exceptions.mark(NOW)]
    # Whoever grants this one has a clock that goes behind.
    for granted in (new(1), new(2, granted_at=NOW - 30.0, ends_at=NOW + 30.0)):
        await store.exceptions.add(granted)
        marks.append(await store.exceptions.mark(NOW))
    await store.exceptions.revoke(new(1).id, "adm-1", NOW - 40.0)
    marks.append(await store.exceptions.mark(NOW))
    marks.append(await store.exceptions.mark(NOW + 30.0))
    assert len(set(marks)) == len(marks)
    await store.exceptions.used({new(2).id: Uses(1, NOW)})
    assert await store.exceptions.mark(NOW) == marks[3]


async def test_uses_add_up_over_replicas(store: Store, replica: Store, new: New) -> None:
    await store.exceptions.add(new(1))
    await store.exceptions.add(new(2))
    both = {new(1).id: Uses(2, NOW + 5.0), new(2).id: Uses(1, NOW), "exc-none": Uses(3, NOW)}
    await asyncio.gather(*(one.exceptions.used(both) for one in (store, replica) for _ in range(4)))
    await store.exceptions.used({new(1).id: Uses(1, NOW + 1.0)})
    await store.exceptions.used({})
    found = {item.id: item for item in await store.exceptions.page(NOW)}
    assert (found[new(1).id].uses, found[new(1).id].last_used_at) == (17, NOW + 5.0)
    assert (found[new(2).id].uses, found[new(2).id].last_used_at) == (8, NOW)


async def test_uses_end_at_what_can_be_counted(store: Store, new: New) -> None:
    await store.exceptions.add(new())
    for _ in range(2):
        await store.exceptions.used({new().id: Uses(999_999_999, NOW)})
    found = await store.exceptions.get(new().id, NOW)
    assert found is not None
    assert found.uses == 1_000_000_000


async def test_those_that_end_soon_and_are_in_use_are_counted(store: Store, new: New) -> None:
    for number in range(1, 5):
        await store.exceptions.add(new(number, ends_at=NOW + (200.0 if number == 3 else 50.0)))
    await store.exceptions.used({new(number).id: Uses(1, NOW - 1.0) for number in (1, 3, 4)})
    await store.exceptions.revoke(new(4).id, "adm-1", NOW)
    assert await store.exceptions.ending(NOW, 100.0) == 1
    assert await store.exceptions.ending(NOW + 50.0, 100.0) == 0
    assert await store.exceptions.ending(NOW, 0.5) == 0


async def test_what_ended_long_ago_is_forgotten(store: Store, new: New) -> None:
    await store.exceptions.add(new(1))
    await store.exceptions.add(new(2, ends_at=NOW + 61.0))
    assert await store.exceptions.purge(NOW + 60.5) == 1
    assert ids(await store.exceptions.page(NOW)) == [new(2).id]


async def test_what_a_row_holds_becomes_a_fact(store: Store, new: New) -> None:
    await store.exceptions.add(new(waives=["trust_sufficient", "window_open"]))
    (live,) = await store.exceptions.live(NOW)
    fact = live.fact()
    assert fact.waives == {"trust_sufficient": True, "window_open": True}
    assert (fact.subject, fact.starts_at, fact.ends_at) == ("dev-1", NOW, NOW + 60.0)
    nobody_granted = (
        {"waives": '["subject active"]'},
        {"waives": '{"trust_sufficient": 1}'},
        {"waives": "[]"},
        {"waives": "x"},
        {"approver": ""},
        {"reason": " "},
    )
    for broken in nobody_granted:
        with pytest.raises(ValueError):
            live._replace(**broken).fact()


@pytest.mark.parametrize(
    "spoilt",
    [
        "waives = '[\"role granted\"]'",
        "waives = '[]'",
        "waives = '{'",
        "waives = 'null'",
        "reason = ' '",
        "approver = ''",
        "action = ''",
    ],
)
async def test_a_row_that_nobody_could_have_granted_is_nothing_that_policy_is_told(
    store: Store, new: New, spoilt: str
) -> None:
    await store.exceptions.add(new())
    await store._database.change("spoil", text(f"UPDATE policy_exceptions SET {spoilt}"))
    [live] = await store.exceptions.live(NOW)
    with pytest.raises((ValueError, TypeError)):
        live.fact()
    for look in (store.exceptions.get(new().id, NOW), store.exceptions.page(NOW)):
        with pytest.raises(StoreUnavailable, match="a row is not as ztfm writes it"):
            await look


async def test_an_exception_is_logged_when_it_is_granted_and_when_it_is_revoked(store: Store, new: New) -> None:
    granted = new()
    await store.exceptions.add(granted)
    assert await store.exceptions.revoke(granted.id, "boss", NOW + 1)
    assert not await store.exceptions.revoke(granted.id, "boss", NOW + 2)
    kept = await store.log.page(0, 10)
    assert [(one.entry.kind, one.entry.id) for one in kept] == [("exception", granted.id)] * 2
    assert b'"revoked_by": "boss"' in (kept[1].document or b"")
