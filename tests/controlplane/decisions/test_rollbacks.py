"""Rollbacks as they are ordered, by people and by policy, and what is shown of them."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.contracts.rollback import Contribution, RollbackResult
from controlplane.contracts.rounds import Round
from controlplane.decisions.rollbacks import EVERY_SECONDS, POLICY, RollbackBook
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage.contributions import add_contributions

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
    return RollbackBook(store.rollbacks, store.contributions, seen, lambda: NOW + 100)


async def test_policy_undoes_what_a_subject_contributed_to_the_latest_rounds(book: RollbackBook, seen: Seen) -> None:
    given = await book.order("x", MODEL, 2, "dec-1")
    assert given is not None
    assert (given.round_id, given.subjects, given.ordered_by, given.ordered_at) == ("r3", ["x"], POLICY, NOW + 100)
    assert (given.decision_id, given.state) == ("dec-1", "ordered")
    assert await book.outstanding(MODEL, "agg-1") == [given]
    assert await book.outstanding(MODEL, "agg-2") == []
    wider = await book.order("x", MODEL, 3, "dec-2")
    assert wider is not None
    assert (wider.id, wider.round_id) == (given.id, "r1")
    assert seen.outcomes == ["ordered"]


async def test_who_contributed_to_none_of_these_rounds_has_nothing_undone(book: RollbackBook, seen: Seen) -> None:
    assert await book.order("stranger", MODEL, 50, "dec-1") is None
    assert await book.order("x", "fall-detection", 50, "dec-1") is None
    assert seen.outcomes == []


async def test_an_order_ends_once_and_is_counted(book: RollbackBook, seen: Seen, logged: io.StringIO) -> None:
    given = (await book.request("r1", MODEL, ["x", "a", "x"], "why not", "op-1", "dec-1")).rollback
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


async def test_too_many_that_wait_are_said_and_not_silently_dropped(
    book: RollbackBook, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    monkeypatch.setattr("controlplane.storage.rollbacks.MOST_OUTSTANDING", 1)
    assert await book.order("x", MODEL, 50, "dec-1") is not None
    assert await book.order("a", MODEL, 50, "dec-2") is None
    assert "rollback_not_ordered" in logged.getvalue()


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
            await book.order("x", MODEL, 50, "dec-1")
        if len(pauses) == 4:
            is_over.set()
            await asyncio.Event().wait()

    async with book.following(sleep):
        await asyncio.wait_for(is_over.wait(), 10)
    assert seen.waiting == [(0, 0.0), (1, 0.0)]
    assert pauses == [EVERY_SECONDS] * 4
    assert logged.getvalue().count("rollbacks_not_read") == 1
