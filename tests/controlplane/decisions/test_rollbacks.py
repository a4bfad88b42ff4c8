"""Rollbacks as they are ordered, by people and by policy, and what is shown of them."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.contracts.rollback import Contribution, Rollback, RollbackResult
from controlplane.contracts.rounds import Round
from controlplane.decisions.rollbacks import EVERY_SECONDS, POLICY, RollbackBook
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage.contributions import add_contributions
from controlplane.storage.rollbacks import OTHER_WEIGHTS
from controlplane.storage.undoing import give_orders

MODEL, NOW = "smart-home-intents", 1_767_225_600.0
WHO = {"r1": ["a", "x"], "r2": ["a"], "r3": ["a", "x"]}


class Seen:
    """What an observer was told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.waiting: list[tuple[int, float]] = []

    def rollback(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def rollbacks_waiting(self, count: int, age_seconds: float) -> None:
        self.waiting.append((count, age_seconds))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    made = [
        Contribution(
            round_id=name,
            subject=subject,
            update_digest="sha256:" + "e" * 64,
            decision_id=f"dec-{name}-{subject}",
            time=NOW,
        )
        for name, subjects in WHO.items()
        for subject in subjects
    ]
    for number, name in enumerate(WHO):
        await opened.rounds.add(
            Round(
                id=name,
                model=MODEL,
                model_digest="sha256:" + "d" * 64,
                members=["a", "x"],
                opened_by="agg-1",
                opens_at=NOW + number,
                closes_at=NOW + 600,
                state="open",
            )
        )
    await opened._database.write("contribute", lambda connection: add_contributions(connection, made))
    yield opened
    await opened.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def book(store: Store, seen: Seen) -> RollbackBook:
    return RollbackBook(store.rollbacks, seen, lambda: NOW + 100)


async def _by_policy(store: Store, book: RollbackBook, subject: str, model: str, rounds: int) -> Rollback | None:
    """Have an order given as it is with a response: in a transaction, of which the book hears then."""
    wanted = [book.undoing(subject, model, rounds, "dec-1")]
    given = await store._database.write("order", lambda connection: give_orders(connection, wanted))
    book.committed(wanted, given)
    return given[0][0].rollback if given[0] else None


async def test_policy_undoes_what_a_subject_contributed_to_the_latest_rounds(
    store: Store, book: RollbackBook, seen: Seen, logged: io.StringIO
) -> None:
    given = await _by_policy(store, book, "x", MODEL, 2)
    assert given is not None
    assert (given.round_id, given.subjects, given.ordered_by, given.ordered_at) == ("r3", ["x"], POLICY, NOW + 100)
    assert (given.decision_id, given.state) == ("dec-1", "ordered")
    assert await book.outstanding(MODEL, "agg-1") == [given]
    assert await book.outstanding(MODEL, "agg-2") == []
    wider = await _by_policy(store, book, "x", MODEL, 3)
    assert wider is not None
    assert (wider.id, wider.round_id) == (given.id, "r1")
    assert seen.outcomes == ["ordered"]
    assert logged.getvalue().count("rollback_ordered") == 1


async def test_of_an_order_that_is_asked_for_nothing_is_said_until_it_is_given(
    store: Store, book: RollbackBook, seen: Seen, logged: io.StringIO
) -> None:
    book.undoing("x", MODEL, 2, "dec-1")
    assert await book.outstanding(MODEL) == []
    assert seen.outcomes == []
    assert "rollback_ordered" not in logged.getvalue()


async def test_who_contributed_to_none_of_these_rounds_has_nothing_undone(
    store: Store, book: RollbackBook, seen: Seen
) -> None:
    assert await _by_policy(store, book, "stranger", MODEL, 50) is None
    assert await _by_policy(store, book, "x", "fall-detection", 50) is None
    assert await book.outstanding(MODEL) == []
    assert seen.outcomes == []


async def test_an_order_ends_once_and_is_counted(book: RollbackBook, seen: Seen, logged: io.StringIO) -> None:
    asked = await book.request("r1", MODEL, ["x", "nobody", "a", "x"], "why not", "op-1", "dec-1")
    assert asked is not None
    given = asked.rollback
    assert given is not None
    assert given.subjects == ["a", "x"]
    result = RollbackResult(round_id="r1", state="failed", fault="the archive is gone")
    assert await book.end(given, result)
    assert not await book.end(given, result)
    assert seen.outcomes == ["ordered", "failed"]
    ended = await book.get(given.id)
    assert ended is not None
    assert (ended.state, ended.fault) == ("failed", "the archive is gone")
    assert await book.page(MODEL, "failed", 10) == [ended]
    assert "rollback_ordered" in logged.getvalue()
    assert "rollback_ended" in logged.getvalue()


def _opened(name: str, digest: str, **changes: Any) -> Round:
    known = {
        "id": name,
        "model": MODEL,
        "model_digest": f"sha256:{digest * 64}",
        "members": ["a"],
        "opened_by": "agg-1",
        "opens_at": NOW + 200,
        "closes_at": NOW + 600,
        "state": "open",
    }
    return Round(**{**known, **changes})


@pytest.mark.parametrize(
    ("opened", "state"),
    [
        (_opened("n1", "e"), "done"),
        (_opened("n1", "f"), "failed"),
        (_opened("n1", "f", opened_by="agg-2"), "done"),
        (_opened("n1", "f", model="fall-detection"), "done"),
    ],
    ids=["as stated", "other weights", "another aggregator", "another model"],
)
async def test_who_says_that_an_order_is_done_begins_its_next_round_with_the_weights_that_it_stated(
    store: Store, book: RollbackBook, seen: Seen, logged: io.StringIO, opened: Round, state: str
) -> None:
    asked = await book.request("r1", MODEL, ["x"], "why not", "op-1", "dec-1")
    assert asked is not None
    assert asked.rollback is not None
    await book.end(asked.rollback, RollbackResult(round_id="r1", state="done", model_digest="sha256:" + "e" * 64))
    await store.rounds.add(opened)
    await book.began(opened)
    ended = await book.get(asked.rollback.id)
    assert ended is not None
    assert ended.state == state
    assert ended.fault == (OTHER_WEIGHTS if state == "failed" else "")
    assert seen.outcomes == ["ordered", "done", *(["failed"] if state == "failed" else [])]
    assert ("rollback_not_carried_out" in logged.getvalue()) == (state == "failed")
    # It is said once, and what held is not questioned by what training makes of the weights.
    later = _opened("n2", "0", opens_at=NOW + 300)
    await store.rounds.add(later)
    await book.began(later)
    assert seen.outcomes.count("failed") == (
        1 if state == "failed" or opened.opened_by == "agg-2" or opened.model != MODEL else 0
    )


async def test_too_many_that_wait_are_said_and_not_silently_dropped(
    store: Store, book: RollbackBook, seen: Seen, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    monkeypatch.setattr("controlplane.storage.undoing.MOST_OUTSTANDING", 1)
    assert await _by_policy(store, book, "x", MODEL, 50) is not None
    assert "rollback_not_ordered" not in logged.getvalue()
    assert await _by_policy(store, book, "a", MODEL, 50) is None
    assert "rollback_not_ordered" in logged.getvalue()
    assert seen.outcomes == ["ordered"]


async def test_how_long_orders_wait_is_shown_and_a_store_that_is_away_is_survived(
    store: Store, book: RollbackBook, seen: Seen, logged: io.StringIO
) -> None:
    pauses: list[float] = []
    answers = iter([None, StoreUnavailable("look", "here", "away"), StoreUnavailable("look", "here", "away"), None])
    look = store.rollbacks.waiting

    async def waiting() -> object:
        fault = next(answers)
        if fault is not None:
            raise fault
        return await look()

    store.rollbacks.waiting = waiting  # type: ignore[method-assign, assignment]
    is_over = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            await _by_policy(store, book, "x", MODEL, 50)
        if len(pauses) == 4:
            is_over.set()
            await asyncio.Event().wait()

    async with book.following(sleep):
        await asyncio.wait_for(is_over.wait(), 10)
    assert seen.waiting == [(0, 0.0), (1, 0.0)]
    assert pauses == [EVERY_SECONDS] * 4
    assert logged.getvalue().count("rollbacks_not_read") == 1
