"""Budgets of inference: exact across replicas, taken from all or from none, and given back once."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import update

from controlplane.contracts.budgets import Amounts, BudgetLease, LeaseUse, Limits
from controlplane.storage import Store, open_store
from controlplane.storage.budget_windows import Window, windows_of
from controlplane.storage.budgets import Lost
from controlplane.storage.tables_budgets import budget_accounts
from tests.controlplane.storage.conftest import NOW

LIMIT = Amounts(requests=10, tokens=1000)
LIMITS: Limits = {scope: {"hour": LIMIT, "day": LIMIT} for scope in ("subject", "model", "segment")}
OWNERS: Any = {"subject": "dev-a", "model": "m", "segment": "homes"}
GATEWAY = "gw-1"


def limits(**changes: Any) -> Limits:
    """Return the limits with other ones for a scope, as ``scope_span=Amounts``."""
    changed: Any = {scope: dict(spans) for scope, spans in LIMITS.items()}
    for name, amounts in changes.items():
        scope, span = name.split("_")
        changed[scope][span] = amounts
    return changed  # type: ignore[no-any-return]


def lease(number: object, requests: int = 1, tokens: int = 100, subject: str = "dev-a", **changes: Any) -> BudgetLease:
    known = {
        "id": f"lease-{number}",
        "subject": subject,
        "model": "m",
        "segment": "homes",
        "requests": requests,
        "tokens": tokens,
        "seconds": 60.0,
        "expires_at": NOW + 60.0,
        "decision_id": "dec-1",
    }
    return BudgetLease(**{**known, **changes})


def use(number: object, requests: int = 0, tokens: int = 0) -> LeaseUse:
    return LeaseUse(lease=f"lease-{number}", requests=requests, tokens=tokens)


async def taken(store: Store, now: float = NOW) -> set[tuple[int, int]]:
    return {(one.requests, one.tokens) for one in (await store.budgets.taken(OWNERS, now)).values()}


async def standing(store: Store, **asked: Any) -> dict[tuple[str, str], tuple[tuple[int, int], tuple[int, int]]]:
    return {
        (one.id, one.span): ((one.used.requests, one.used.tokens), (one.leased.requests, one.leased.tokens))
        for one in await store.budgets.page(NOW, **asked)
    }


async def test_a_lease_is_taken_from_every_window_of_every_budget(store: Store) -> None:
    assert await taken(store) == {(0, 0)}
    assert await store.budgets.lease(lease(1, 2, 300), GATEWAY, LIMITS, NOW)
    found = await store.budgets.taken(OWNERS, NOW)
    assert list(found) == windows_of(OWNERS, NOW)
    assert len(found) == 6
    assert await taken(store) == {(2, 300)}


async def test_whatever_gateways_say_that_they_used_the_budget_is_full_and_can_be_read(store: Store) -> None:
    await store.budgets.lease(lease(1), GATEWAY, LIMITS, NOW)
    await store.budgets.lease(lease(2), GATEWAY, LIMITS, NOW)
    settled = await store.budgets.settle(GATEWAY, [use(1, 10**9, 10**9)], NOW)
    # Of tokens a model server may use more than was leased; of requests nobody can.
    assert (settled.used, settled.beyond) == (Amounts(requests=1, tokens=10**9), 10**9 - 100)
    assert await taken(store) == {(2, 10**9 + 100)}
    beyond = update(budget_accounts).values(tokens_used=2**62, requests_used=2**62)
    await store.budgets._database.change("test", beyond)
    assert await taken(store) == {(2**53, 2**53)}
    assert await standing(store, scope="model") == {("m", span): ((2**53, 2**53), (1, 100)) for span in ("hour", "day")}
    assert not await store.budgets.lease(lease(3), GATEWAY, LIMITS, NOW)
    assert [one.state for one in (await store.budgets.settle(GATEWAY, [use(2, 1, 100)], NOW)).leases] == ["settled"]


@pytest.mark.parametrize("scope", ["subject", "model", "segment"])
@pytest.mark.parametrize("span", ["hour", "day"])
@pytest.mark.parametrize("short", [Amounts(requests=1, tokens=1000), Amounts(requests=10, tokens=199)])
async def test_where_one_budget_has_no_room_nothing_is_taken_from_any(
    sqlite_url: str, scope: str, span: str, short: Amounts
) -> None:
    store = await open_store(sqlite_url)
    try:
        assert await store.budgets.lease(lease(1, 1, 100), GATEWAY, LIMITS, NOW)
        assert not await store.budgets.lease(lease(2, 1, 100), GATEWAY, limits(**{f"{scope}_{span}": short}), NOW)
        assert await taken(store) == {(1, 100)}
        # Nor of a budget that nobody has used before.
        other = lease(3, 2, 200, "dev-b", model="other", segment="core")
        assert not await store.budgets.lease(other, GATEWAY, limits(**{f"{scope}_{span}": short}), NOW)
        assert await taken(store) == {(1, 100)}
        assert "dev-b" not in {one.id for one in await store.budgets.page(NOW)}
        assert await store.budgets.out("dev-b", "other", NOW) == 0
    finally:
        await store.close()


async def test_the_last_of_a_budget_can_be_leased_and_not_one_more(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 10, 999), GATEWAY, LIMITS, NOW)
    assert not await store.budgets.lease(lease(2, 1, 0), GATEWAY, limits(), NOW)
    assert await taken(store) == {(10, 999)}
    await store.budgets.settle(GATEWAY, [use(1, 9, 999)], NOW)
    assert not await store.budgets.lease(lease(3, 1, 2), GATEWAY, LIMITS, NOW)
    assert await store.budgets.lease(lease(4, 1, 1), GATEWAY, LIMITS, NOW)
    assert await taken(store) == {(10, 1000)}


async def test_what_was_not_used_goes_back_and_a_second_settlement_changes_nothing(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 5, 500), GATEWAY, LIMITS, NOW)
    settled = await store.budgets.settle(GATEWAY, [use(1, 2, 120)], NOW + 5)
    assert [(one.lease, one.state) for one in settled.leases] == [("lease-1", "settled")]
    assert (settled.used, settled.returned) == (Amounts(requests=2, tokens=120), Amounts(requests=3, tokens=380))
    for again in (use(1, 2, 120), use(1), use(1, 5, 500)):
        found = await store.budgets.settle(GATEWAY, [again], NOW + 6)
        assert (found.leases[0].state, found.used.tokens) == ("known", 0)
    assert await taken(store) == {(2, 120)}
    assert set((await standing(store)).values()) == {((2, 120), (0, 0))}


async def test_a_gateway_settles_its_own_leases_alone(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 5, 500), GATEWAY, LIMITS, NOW)
    found = await store.budgets.settle("gw-2", [use(1), use("none")], NOW)
    assert [one.state for one in found.leases] == ["unknown", "unknown"]
    assert await taken(store) == {(5, 500)}


async def test_of_two_settlements_of_one_lease_the_first_counts(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 5, 500), GATEWAY, LIMITS, NOW)
    found = await store.budgets.settle(GATEWAY, [use(1, 3, 300), use(1)], NOW)
    assert [one.state for one in found.leases] == ["settled", "known"]
    assert await taken(store) == {(3, 300)}


async def test_what_was_used_beyond_a_lease_counts_and_is_told(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 1, 900), GATEWAY, LIMITS, NOW)
    settled = await store.budgets.settle(GATEWAY, [use(1, 1, 1100)], NOW)
    assert (settled.beyond, settled.returned.tokens) == (200, 0)
    assert await taken(store) == {(1, 1100)}
    assert not await store.budgets.lease(lease(2, 1, 0), GATEWAY, LIMITS, NOW)


async def test_the_next_window_is_whole_and_what_comes_late_counts_where_it_was_leased(store: Store) -> None:
    late = NOW + 3_599.0
    assert await store.budgets.lease(lease(1, 10, 1000), GATEWAY, LIMITS, late)
    assert not await store.budgets.lease(lease(2), GATEWAY, LIMITS, late)
    wide = limits(**{f"{scope}_day": Amounts(requests=99, tokens=9999) for scope in LIMITS})
    assert await store.budgets.lease(lease(3), GATEWAY, wide, NOW + 3_600.0)
    await store.budgets.settle(GATEWAY, [use(1, 4, 40)], NOW + 3_700.0)
    found = await store.budgets.taken({"subject": "dev-a"}, late)
    assert found[Window("subject", "dev-a", "hour", int(NOW))] == Amounts(requests=4, tokens=40)
    assert found[Window("subject", "dev-a", "day", int(NOW))] == Amounts(requests=5, tokens=140)
    found = await store.budgets.taken({"subject": "dev-a"}, NOW + 3_600.0)
    assert found[Window("subject", "dev-a", "hour", int(NOW) + 3_600)] == Amounts(requests=1, tokens=100)


async def test_a_lease_that_nobody_settles_stays_taken_until_its_windows_end(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 3, 300), GATEWAY, LIMITS, NOW)
    assert await store.budgets.out("dev-a", "m", NOW) == 1
    assert await store.budgets.out("dev-a", "m", NOW + 61.0) == 0
    assert await store.budgets.lost(NOW + 59.0) == Lost(0, 0)
    assert await store.budgets.lost(NOW + 61.0) == Lost(1, 300)
    assert await taken(store, NOW + 3_599.0) == {(3, 300)}
    assert await taken(store, NOW + 86_400.0) == {(0, 0)}


async def test_replicas_that_lease_at_once_never_take_more_than_there_is(store: Store, replica: Store) -> None:
    chance = random.Random(7)
    granted: list[BudgetLease] = []

    async def gateway(number: int) -> None:
        part = (store, replica)[number % 2]
        one = lease(number, chance.randint(1, 2), chance.randint(1, 90), f"dev-{number % 3}")
        if await part.budgets.lease(one, GATEWAY, LIMITS, NOW):
            granted.append(one)

    await asyncio.gather(*map(gateway, range(60)))
    assert await store.budgets.taken({"model": "m"}, NOW) == {
        window: Amounts(requests=sum(one.requests for one in granted), tokens=sum(one.tokens for one in granted))
        for window in windows_of({"model": "m"}, NOW)
    }
    requests = sum(one.requests for one in granted)
    assert 9 <= requests <= 10
    assert len(granted) < 60


async def test_leases_and_settlements_of_many_replicas_end_where_a_single_book_would(
    store: Store, replica: Store
) -> None:
    wide = limits(**{name: Amounts(requests=60, tokens=6000) for name in ("model_hour", "model_day")})
    wide = {**wide, "segment": wide["model"]}
    used = {"requests": 0, "tokens": 0}
    most = 0

    async def gateway(number: int) -> None:
        nonlocal most
        chance, part = random.Random(number), (store, replica)[number % 2]
        for step in range(6):
            one = lease(f"{number}-{step}", 2, 150, f"dev-{number}")
            if not await part.budgets.lease(one, f"gw-{number}", wide, NOW):
                continue
            most = max(most, *(amounts.tokens for amounts in (await part.budgets.taken({"model": "m"}, NOW)).values()))
            requests, tokens = chance.randint(0, 2), chance.randint(0, 150)
            told = await part.budgets.settle(f"gw-{number}", [use(f"{number}-{step}", requests, tokens)], NOW)
            assert told.leases[0].state == "settled"
            used["requests"] += requests
            used["tokens"] += tokens

    await asyncio.gather(*map(gateway, range(8)))
    assert set((await store.budgets.taken({"model": "m"}, NOW)).values()) == {Amounts(**used)}
    assert 0 < most <= 6000
    assert all(leased == (0, 0) for _, leased in (await standing(store)).values())


async def test_the_fullest_are_told_first(store: Store) -> None:
    assert await store.budgets.lease(lease(1, 1, 100), GATEWAY, LIMITS, NOW)
    assert await store.budgets.lease(lease(2, 1, 500, "dev-b"), GATEWAY, LIMITS, NOW)
    page = await store.budgets.page(NOW)
    assert [one.id for one in page] == ["m", "m", "homes", "homes", "dev-b", "dev-b", "dev-a", "dev-a"]
    assert page[0].limit == LIMIT
    assert [one.id for one in await store.budgets.page(NOW, "subject", limit=2)] == ["dev-b", "dev-b"]
    assert [one.span for one in await store.budgets.page(NOW, name="dev-a")] == ["day", "hour"]
    assert await store.budgets.page(NOW, name="no identifier") == []
    assert await store.budgets.page(NOW + 86_400.0) == []


async def test_there_is_room_again_when_the_last_window_without_any_has_ended(store: Store) -> None:
    hourly = limits(**{f"{scope}_day": Amounts(requests=99, tokens=9999) for scope in LIMITS})
    assert await store.budgets.lease(lease(1, 1, 900), GATEWAY, hourly, NOW)
    little, much = Amounts(requests=1, tokens=100), Amounts(requests=1, tokens=101)
    assert await store.budgets.room_at({"subject": "dev-a"}, little, NOW + 10) == NOW + 3_600.0
    assert await store.budgets.room_at({"subject": "dev-a"}, much, NOW + 10) == NOW + 3_600.0
    assert await store.budgets.lease(lease(2, 1, 50), GATEWAY, limits(), NOW)
    assert await store.budgets.room_at({"subject": "dev-a"}, much, NOW + 10) == NOW + 86_400.0
    assert await store.budgets.room_at({"subject": "dev-b"}, much, NOW + 10) == NOW + 3_600.0


async def test_what_is_long_ago_is_forgotten(store: Store) -> None:
    assert await store.budgets.lease(lease(1), GATEWAY, LIMITS, NOW)
    assert await store.budgets.purge(NOW) == 0
    assert await store.budgets.purge(NOW + 1) == 7
    assert (await store.budgets.settle(GATEWAY, [use(1)], NOW)).leases[0].state == "unknown"
