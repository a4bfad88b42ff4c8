"""A gateway spends what it leased by itself, gives back what it does not need, and never gives out more than it has."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.gateway.interfaces import Exhausted, Reservation
from adapters.gateway.leasing import AGAIN_SECONDS, Leasing
from controlplane.contracts.budgets import Amounts
from controlplane.storage import Store, open_store
from tests.adapters.gateway.lessor import StoredLessor
from tests.adapters.gateway.test_slices import slice_of
from tests.controlplane.storage.conftest import NOW


class Timer:
    """A time that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def lessor(store: Store) -> StoredLessor:
    return StoredLessor(store.budgets)


@pytest.fixture
async def leasing(lessor: StoredLessor, timer: Timer) -> AsyncIterator[Leasing]:
    opened = Leasing(lessor, timer=timer, clock=lambda: NOW)
    yield opened
    await opened.close()


async def took(leasing: Leasing, tokens: int, subject: str = "dev-a", model: str = "m") -> Reservation:
    found = await leasing.take(subject, model, tokens)
    assert isinstance(found, Reservation), found
    return found


async def totals(store: Store, name: str = "m") -> set[tuple[int, int, int, int]]:
    """Return requests and tokens used, and leased, of each window of a budget."""
    return {
        (one.used.requests, one.used.tokens, one.leased.requests, one.leased.tokens)
        for one in await store.budgets.page(NOW, name=name)
    }


async def test_one_lease_does_for_many_requests(leasing: Leasing, lessor: StoredLessor) -> None:
    reservations = [await took(leasing, 100) for _ in range(10)]
    assert lessor.asked == 1
    assert len({one.id for one in reservations}) == 10
    assert reservations[0].expires_at == NOW + 900.0
    await took(leasing, 100)
    assert lessor.asked == 2


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not condition():  # noqa: ASYNC110 - nothing says so
            await asyncio.sleep(0.001)


async def test_the_next_lease_is_there_before_anybody_waits_for_it(
    leasing: Leasing, lessor: StoredLessor, store: Store
) -> None:
    for _ in range(8):
        await leasing.settle(await took(leasing, 10), 10)
    await until(lambda: lessor.leased == 2)
    lessor.is_away = True
    for _ in range(2 + 10):
        await leasing.settle(await took(leasing, 10), 10)
    assert isinstance(await leasing.take("dev-a", "m", 10), Exhausted)
    lessor.is_away = False
    await leasing.close()
    assert await totals(store) == {(20, 200, 0, 0)}


async def test_while_a_lease_is_asked_for_ahead_no_other_is(leasing: Leasing, lessor: StoredLessor) -> None:
    await took(leasing, 10)
    lessor.gate.clear()
    for _ in range(7):
        await took(leasing, 10)
    await until(lambda: lessor.asked == 2)
    for _ in range(2):
        await took(leasing, 10)
    waiting = [asyncio.create_task(leasing.take("dev-a", "m", 10)) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert lessor.asked == 2
    lessor.gate.set()
    assert all(isinstance(one, Reservation) for one in await asyncio.gather(*waiting))
    assert lessor.asked == 2


async def test_a_lease_that_ends_is_followed_before_it_does_and_its_window_is_not(
    leasing: Leasing, lessor: StoredLessor, timer: Timer
) -> None:
    await took(leasing, 10)
    timer.now += 50.0
    await took(leasing, 10)
    await until(lambda: lessor.leased == 2)
    timer.now += 20.0
    lessor.is_away = True
    await took(leasing, 10)
    one = slice_of(32, 32_768, expires_at=7200.0)
    assert not one.is_low(10, 59.9)
    assert slice_of(32, 32_768, expires_at=7199.0).is_low(10, 59.9)


async def test_a_lease_that_waits_for_its_turn_is_not_given_back_and_taken_again(
    leasing: Leasing, lessor: StoredLessor, timer: Timer
) -> None:
    await leasing.settle(await took(leasing, 600), 10)
    running = await took(leasing, 600)
    await until(lambda: lessor.leased == 2)
    await leasing.settle(running, 10)
    for _ in range(4):
        timer.now += 9.0
        await leasing.settle(await took(leasing, 600), 10)
        await leasing.tend()
    assert (lessor.asked, lessor.settled) == (2, [])


async def test_nobody_is_refused_because_there_was_nothing_ahead_and_it_is_not_asked_for_again_at_once(
    store: Store, timer: Timer
) -> None:
    lessor = StoredLessor(store.budgets, part=(8, 1000), limit=(8, 100_000))
    async with Leasing(lessor, timer=timer, clock=lambda: NOW) as leasing:
        for _ in range(6):
            await took(leasing, 10)
        await until(lambda: lessor.asked == 2)
        await asyncio.sleep(0.01)
        await took(leasing, 10)
        await took(leasing, 10)
        assert lessor.asked == 2
        assert isinstance(await leasing.take("dev-a", "m", 10), Exhausted)


async def test_what_a_request_did_not_use_is_there_for_the_next(leasing: Leasing, lessor: StoredLessor) -> None:
    for _ in range(10):
        one = await took(leasing, 900)
        await leasing.settle(one, 10)
        await leasing.settle(one, 900)
    assert lessor.asked == 1


async def test_a_lease_that_is_used_up_is_settled_as_soon_as_there_is_another(
    leasing: Leasing, lessor: StoredLessor, store: Store
) -> None:
    for _ in range(100):
        await leasing.settle(await took(leasing, 10), 10)
    await leasing.tend()
    assert lessor.asked == 10
    # One is spent from; of all others nothing is out.
    assert await store.budgets.out("dev-a", "m", NOW) == 1
    assert await totals(store) == {(90, 900, 10, 1000)}


async def test_what_is_left_goes_back_when_nobody_needs_it_and_what_was_used_is_counted(
    leasing: Leasing, lessor: StoredLessor, store: Store, timer: Timer
) -> None:
    for used in (30, 70):
        await leasing.settle(await took(leasing, 200), used)
    await leasing.tend()
    assert lessor.settled == []
    timer.now += 11.0
    await leasing.tend()
    assert [(one.requests, one.tokens) for one in lessor.settled] == [(2, 100)]
    assert await totals(store) == {(2, 100, 0, 0)}
    await leasing.tend()
    assert len(lessor.settled) == 1


async def test_a_lease_that_has_ended_is_spent_no_more(leasing: Leasing, lessor: StoredLessor, timer: Timer) -> None:
    running = await took(leasing, 100)
    timer.now += 60.0
    await took(leasing, 100)
    assert lessor.asked == 2
    await leasing.tend()
    # What runs on still holds some of it.
    assert lessor.settled == []
    await leasing.settle(running, 40)
    await leasing.tend()
    assert [(one.requests, one.tokens) for one in lessor.settled] == [(1, 40)]


async def test_a_reservation_that_is_never_settled_counts_whole(
    leasing: Leasing, lessor: StoredLessor, timer: Timer
) -> None:
    lost = await took(leasing, 300)
    timer.now += 900.0
    await leasing.tend()
    assert [(one.requests, one.tokens) for one in lessor.settled] == [(1, 300)]
    await leasing.settle(lost, 0)
    assert [(one.requests, one.tokens) for one in lessor.settled] == [(1, 300)]


async def test_where_the_control_plane_is_away_nothing_is_given_out_and_it_is_not_asked_again_at_once(
    leasing: Leasing, lessor: StoredLessor, timer: Timer
) -> None:
    lessor.is_away = True
    assert await leasing.take("dev-a", "m", 100) == Exhausted("unknown", AGAIN_SECONDS)
    assert await leasing.take("dev-a", "m", 1) == Exhausted("unknown", AGAIN_SECONDS)
    assert lessor.asked == 1
    lessor.is_away = False
    timer.now += AGAIN_SECONDS
    await took(leasing, 100)


async def test_settlements_wait_for_a_control_plane_that_is_away_and_arrive_once(
    leasing: Leasing, lessor: StoredLessor, store: Store, timer: Timer
) -> None:
    await leasing.settle(await took(leasing, 100), 60)
    lessor.is_away = True
    timer.now += 61.0
    await leasing.tend()
    await leasing.tend()
    assert await totals(store) == {(0, 0, 10, 1000)}
    lessor.is_away = False
    await leasing.tend()
    assert await totals(store) == {(1, 60, 0, 0)}


async def test_an_exhausted_budget_says_whose_it_is_and_shorter_requests_still_fit(store: Store, timer: Timer) -> None:
    lessor = StoredLessor(store.budgets, part=(10, 100), limit=(100, 1000))
    async with Leasing(lessor, timer=timer, clock=lambda: NOW) as leasing:
        await took(leasing, 700, "dev-b")
        assert await leasing.take("dev-a", "m", 400) == Exhausted("model", 120.0)
        assert await leasing.take("dev-a", "m", 500) == Exhausted("model", 120.0)
        asked = lessor.asked
        await took(leasing, 300)
        assert lessor.asked == asked + 1


async def test_what_is_left_of_a_lease_is_given_back_where_the_budget_has_no_more_without_it(
    store: Store, timer: Timer
) -> None:
    lessor = StoredLessor(store.budgets, part=(5, 600), limit=(100, 1000))
    async with Leasing(lessor, timer=timer, clock=lambda: NOW) as leasing:
        await leasing.settle(await took(leasing, 100), 50)
        # 550 are left here, and 400 there: together they are enough.
        await leasing.settle(await took(leasing, 950), 950)
        assert isinstance(await leasing.take("dev-a", "m", 1), Exhausted)
    assert await totals(store) == {(2, 1000, 0, 0)}


async def test_closing_gives_back_everything_and_counts_what_still_runs_whole(store: Store, timer: Timer) -> None:
    lessor = StoredLessor(store.budgets)
    leasing = Leasing(lessor, timer=timer, clock=lambda: NOW)
    await leasing.start()
    await leasing.settle(await took(leasing, 100), 20)
    await took(leasing, 500)
    await took(leasing, 100, "dev-b")
    await leasing.close()
    assert await totals(store) == {(3, 620, 0, 0)}
    assert await leasing.take("dev-a", "m", 1) == Exhausted("unknown", AGAIN_SECONDS)
    assert leasing.settlements.lost == 0


async def test_a_gateway_that_dies_loses_what_it_held_and_nobody_gets_it(store: Store, timer: Timer) -> None:
    dying = Leasing(StoredLessor(store.budgets, "gw-dead", limit=(100, 1500)), timer=timer, clock=lambda: NOW)
    await took(dying, 100)
    other = StoredLessor(store.budgets, "gw-2", limit=(100, 1500))
    async with Leasing(other, timer=timer, clock=lambda: NOW) as leasing:
        await took(leasing, 500)
        assert isinstance(await leasing.take("dev-a", "m", 1), Exhausted)


async def test_whoever_goes_away_while_a_lease_is_asked_for_uses_nothing_of_it(
    leasing: Leasing, lessor: StoredLessor, timer: Timer
) -> None:
    asking = asyncio.create_task(leasing.take("dev-a", "m", 1000))
    await lessor.was_asked.wait()
    asking.cancel()
    assert (await asyncio.gather(asking, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    one = await took(leasing, 1000)
    await leasing.settle(one, 1000)
    timer.now += 61.0
    await leasing.tend()
    assert sum(use.requests for use in lessor.settled) == 1
    assert sum(use.tokens for use in lessor.settled) == 1000


@pytest.mark.parametrize("tokens", [-1, 10**9 + 1])
async def test_a_number_of_tokens_that_cannot_be_one_gets_nothing(
    leasing: Leasing, lessor: StoredLessor, tokens: int
) -> None:
    assert isinstance(await leasing.take("dev-a", "m", tokens), Exhausted)
    assert lessor.asked == 0


async def test_a_name_that_cannot_be_one_gets_nothing(leasing: Leasing) -> None:
    assert isinstance(await leasing.take("dev a", "m", 1), Exhausted)


async def test_requests_that_come_at_once_share_the_leases(leasing: Leasing, lessor: StoredLessor) -> None:
    found = await asyncio.gather(*(leasing.take("dev-a", "m", 100) for _ in range(50)))
    assert all(isinstance(one, Reservation) for one in found)
    assert lessor.asked == 5


async def test_gateways_on_replicas_that_spend_at_once_end_exactly_at_the_budget(store: Store, tmp_path: Path) -> None:
    replica = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    limit = (300, 20_000)
    used = [0, 0]

    async def gateway(number: int) -> None:
        chance, part = random.Random(number), (store, replica)[number % 2]
        lessor = StoredLessor(part.budgets, f"gw-{number}", (4, 600), limit)
        async with Leasing(lessor, clock=lambda: NOW) as leasing:
            for _ in range(60):
                most = chance.randint(1, 400)
                found = await leasing.take(f"dev-{number % 3}", "m", most)
                if isinstance(found, Exhausted):
                    continue
                tokens = chance.randint(0, most)
                used[0] += 1
                used[1] += tokens
                await leasing.settle(found, tokens)

    try:
        await asyncio.gather(*map(gateway, range(6)))
    finally:
        await replica.close()
    assert await totals(store) == {(used[0], used[1], 0, 0)}
    assert used[0] <= limit[0]
    assert 15_000 < used[1] <= limit[1]
    assert (await store.budgets.taken({"model": "m"}, NOW)).popitem()[1] == Amounts(requests=used[0], tokens=used[1])
