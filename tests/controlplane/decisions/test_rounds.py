"""Many decisions of one round read it once, and none sees what was before it was opened."""

import asyncio
from collections.abc import Sequence

import pytest

from controlplane.contracts.rounds import Round
from controlplane.decisions.rounds import RoundBook


def made(name: str) -> Round:
    return Round(
        id=name,
        model="m",
        model_digest="sha256:" + "a" * 64,
        members=["dev-1"],
        opened_by="agg",
        opens_at=0.0,
        closes_at=60.0,
        state="open",
    )


class Store:
    """Rounds in memory, as slow as a test needs."""

    def __init__(self) -> None:
        self.kept: dict[str, Round] = {}
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def add(self, opened: Round) -> bool:
        if opened.id in self.kept:
            return False
        self.kept[opened.id] = opened
        return True

    async def get(self, round_id: str) -> Round | None:
        self.reads += 1
        found = self.kept.get(round_id)
        await self.gate.wait()
        if self.fails:
            raise OSError("gone")
        return found

    async def submissions(self, round_id: str, subject: str) -> int:
        return 0

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(subjects, 0)


async def test_many_at_once_read_once() -> None:
    store = Store()
    await store.add(made("r"))
    book = RoundBook(store, lambda: 1.0)
    found = await asyncio.gather(*(book.get("r") for _ in range(50)))
    assert store.reads == 1
    assert {seen.id for seen in found if seen} == {"r"}


async def test_a_round_is_seen_as_soon_as_it_was_opened_even_while_a_read_is_under_way() -> None:
    store = Store()
    store.gate.clear()
    book = RoundBook(store, lambda: 1.0)
    early = asyncio.create_task(book.get("r"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await book.open(made("r"))
    late = asyncio.create_task(book.get("r"))
    await asyncio.sleep(0)
    store.gate.set()
    assert await early is None
    assert await late is not None
    assert await book.get("r") is not None


async def test_a_fault_reaches_all_who_asked_and_is_not_remembered() -> None:
    store = Store()
    await store.add(made("r"))
    store.fails = True
    book = RoundBook(store, lambda: 1.0)
    found = await asyncio.gather(book.get("r"), book.get("r"), return_exceptions=True)
    assert [type(fault) for fault in found] == [OSError, OSError]
    store.fails = False
    assert await book.get("r") is not None


async def test_one_who_leaves_does_not_take_the_answer_away() -> None:
    store = Store()
    await store.add(made("r"))
    book = RoundBook(store, lambda: 1.0)
    first, second = asyncio.create_task(book.get("r")), asyncio.create_task(book.get("r"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_memory_is_bounded() -> None:
    store = Store()
    book = RoundBook(store, lambda: 1.0, capacity=3)
    for number in range(10):
        await store.add(made(f"r{number}"))
        await book.get(f"r{number}")
    assert len(book._known) == 3


async def test_an_opened_id_is_not_opened_again() -> None:
    book = RoundBook(Store(), lambda: 1.0)
    assert await book.open(made("r"))
    assert not await book.open(made("r"))
    assert await book.count_submissions("r", ["dev-1"]) == {"dev-1": 0}
