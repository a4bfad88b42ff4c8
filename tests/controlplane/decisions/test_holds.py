"""What is held is known from memory, follows the store, and is not known when the store is silent."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from controlplane.contracts.holds import Hold, HoldsFact
from controlplane.decisions.following import MAX_SILENCE_SECONDS
from controlplane.decisions.holds import CurrentHolds
from controlplane.storage import StoreUnavailable
from tests.clocks import START as NOW
from tests.clocks import Clock

NOTHING = {"known": True, "current": {}}
UNKNOWN = {"known": False, "current": {}}


def hold(number: int = 1, **changes: Any) -> Hold:
    known = {
        "id": f"hold-{number:032x}",
        "segment": "homes",
        "actions": ["gradient_submission"],
        "alert": "ZtfmPoisoningCampaign",
        "fingerprint": f"{number:016x}",
        "alert_started_at": NOW,
        "starts_at": NOW,
        "ends_at": NOW + 60.0,
        "decision_id": "dec-1",
        "state": "current",
    }
    return Hold(**{**known, **changes})


@dataclass
class Book:
    """Stands for a store that fails, which a real one cannot be asked to do."""

    rows: list[Hold] = field(default_factory=list)
    is_down: bool = False
    shown: list[int] = field(default_factory=list)

    async def current(self, now: float) -> list[Hold]:
        if self.is_down:
            raise StoreUnavailable("read holds", "here", "it is away")
        return [row for row in self.rows if row.ends_at > now]

    def holding(self, current: int) -> None:
        self.shown.append(current)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def timer() -> Clock:
    return Clock()


@pytest.fixture
def held(book: Book, timer: Clock) -> CurrentHolds:
    return CurrentHolds(book, book, lambda: NOW, timer)


def ids(fact: Any) -> list[str]:
    HoldsFact.model_validate(fact)
    return sorted(name[-1] for name in fact["current"])


async def test_what_is_held_is_found_where_it_is_and_nowhere_else(held: CurrentHolds, book: Book) -> None:
    book.rows = [hold(1), hold(2, segment="*", actions=["inference", "model_access"]), hold(3, segment="guests")]
    await held.refresh()
    assert ids(held.of("homes", "gradient_submission")) == ["1"]
    assert ids(held.of("guests", "gradient_submission")) == ["3"]
    assert ids(held.of("core", "inference")) == ids(held.of(None, "model_access")) == ["2"]
    assert held.of("core", "gradient_submission") == NOTHING == held.of(None, "gradient_submission")
    assert ids(held.all()) == ["1", "2", "3"]
    assert book.shown == [3]


async def test_what_is_held_everywhere_is_beside_what_is_held_in_the_segment(held: CurrentHolds, book: Book) -> None:
    book.rows = [hold(1), hold(2, segment="*"), hold(3, segment="*", actions=["inference"])]
    await held.refresh()
    assert ids(held.of("homes", "gradient_submission")) == ["1", "2"]
    assert ids(held.of("guests", "gradient_submission")) == ["2"]
    assert ids(held.of("homes", "inference")) == ["3"]


async def test_before_it_was_ever_read_nothing_is_known(held: CurrentHolds) -> None:
    assert held.of("homes", "inference") == UNKNOWN == held.all()
    assert not held.is_known


async def test_what_was_known_stays_for_a_while_and_then_nothing_is(
    held: CurrentHolds, book: Book, timer: Clock
) -> None:
    book.rows = [hold()]
    await held.refresh()
    book.is_down = True
    with pytest.raises(StoreUnavailable):
        await held.refresh()
    timer.now += MAX_SILENCE_SECONDS
    assert ids(held.of("homes", "gradient_submission")) == ["1"]
    timer.now += 0.001
    assert held.of("homes", "gradient_submission") == UNKNOWN
    assert held.of("guests", "inference") == UNKNOWN
    book.is_down = False
    await held.refresh()
    assert ids(held.of("homes", "gradient_submission")) == ["1"]


async def test_it_follows_the_store_and_says_once_that_it_cannot(held: CurrentHolds, book: Book) -> None:
    turns: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(_seconds: float) -> None:
        await turns.get()

    async def turn() -> None:
        turns.put_nowait(None)
        # Long enough for the follower to take its turn and to wait for the next.
        for _ in range(40):
            await asyncio.sleep(0)

    with capture_logs() as logs:
        async with held.following(sleep):
            book.rows = [hold()]
            await turn()
            assert ids(held.all()) == ["1"]
            book.is_down = True
            await turn()
            await turn()
            book.rows, book.is_down = [], False
            await turn()
            assert held.all() == NOTHING
    assert [one["event"] for one in logs] == ["held", "holds_not_in_step", "hold_ended"]


async def test_without_a_store_nothing_is_followed(held: CurrentHolds, book: Book) -> None:
    book.is_down = True
    with pytest.raises(StoreUnavailable):
        async with held.following():
            pytest.fail("it cannot begin")


async def test_a_look_costs_next_to_nothing(held: CurrentHolds, book: Book) -> None:
    """No copy is made for a decision: what is given is what was read."""
    await held.refresh()
    assert held.of("homes", "inference") is held.of("core", "model_access")
    book.rows = [hold()]
    await held.refresh()
    assert held.of("homes", "gradient_submission") is held.of("homes", "gradient_submission")
