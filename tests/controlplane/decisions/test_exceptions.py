"""What is excepted is known from memory, follows the store, and counts for nothing when the store is silent."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from controlplane.decisions.exceptions import MAX_SILENCE_SECONDS, CurrentExceptions
from controlplane.decisions.exceptionuses import ExceptionUses
from controlplane.storage.exceptions import LiveException, Mark, Uses

NOW = 1_767_225_600.0


def live(number: int = 1, **changes: object) -> LiveException:
    known: dict[str, object] = {
        "id": f"exc-{number:032x}",
        "subject": "dev-1",
        "resource": "m",
        "action": "inference",
        "waives": '["trust_sufficient"]',
        "reason": "Bench test.",
        "approver": "adm-1",
        "starts_at": NOW,
        "ends_at": NOW + 60.0,
    }
    return LiveException(**{**known, **changes})  # type: ignore[arg-type]


class DownError(Exception):
    """The store is away."""


@dataclass
class Book:
    """Stands for a store that fails, which a real one cannot be asked to do; counts what it is asked."""

    rows: dict[str, LiveException] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    counted: dict[str, int] = field(default_factory=dict)
    is_down: bool = False
    reads: int = 0
    marks: int = 0

    def keep(self, *added: LiveException) -> None:
        self.rows.update({row.id: row for row in added})

    async def mark(self, now: float) -> Mark:
        self._answer()
        self.marks += 1
        return (len(self.rows), len(self.ended))

    async def revoked(self, now: float) -> set[str]:
        self._answer()
        return set(self.ended)

    async def live(self, now: float, after: str = "", limit: int = 1000) -> list[LiveException]:
        self._answer()
        self.reads += 1
        found = [row for name, row in sorted(self.rows.items()) if name > after and row.ends_at > now]
        return [row for row in found if row.id not in self.ended][:limit]

    async def used(self, uses: Mapping[str, Uses]) -> None:
        self._answer()
        for name, of in uses.items():
            self.counted[name] = self.counted.get(name, 0) + of.times

    async def ending(self, now: float, within: float) -> int:
        self._answer()
        return 3

    def _answer(self) -> None:
        if self.is_down:
            raise DownError("away")


@dataclass
class Shown:
    live: int = -1
    age: float = -1.0
    ending: int = -1

    def excepting(self, live: int, age_seconds: float) -> None:
        self.live, self.age = live, age_seconds

    def exceptions_ending(self, ending: int) -> None:
        self.ending = ending


@dataclass
class Timer:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Parts:
    book: Book = field(default_factory=Book)
    uses: ExceptionUses = field(default_factory=ExceptionUses)
    shown: Shown = field(default_factory=Shown)
    timer: Timer = field(default_factory=Timer)

    def current(self, most: int = 100) -> CurrentExceptions:
        return CurrentExceptions(self.book, self.uses, self.shown, lambda: NOW, self.timer, most)


@pytest.fixture
def parts() -> Parts:
    return Parts()


def found(current: CurrentExceptions, now: float = NOW) -> list[str]:
    return list(current.of("dev-1", "m", "inference", now))


async def test_nothing_is_excepted_before_the_store_was_read(parts: Parts) -> None:
    parts.book.keep(live())
    assert found(parts.current()) == []


async def test_the_facts_of_what_is_current_for_the_request_are_found(parts: Parts) -> None:
    parts.book.keep(live(1), live(2, subject="dev-2"), live(3, resource="n"), live(4, action="model_access"))
    current = parts.current()
    await current.refresh()
    assert current.of("dev-1", "m", "inference", NOW) == {
        live(1).id: {
            "subject": "dev-1",
            "resource": "m",
            "action": "inference",
            "waives": {"trust_sufficient": True},
            "reason": "Bench test.",
            "approver": "adm-1",
            "starts_at": NOW,
            "ends_at": NOW + 60.0,
        }
    }
    assert current.of("dev-3", "m", "inference", NOW) == {}


async def test_it_is_current_from_its_start_until_its_end(parts: Parts) -> None:
    parts.book.keep(live(1, starts_at=NOW + 10.0))
    current = parts.current()
    await current.refresh()
    assert [bool(found(current, NOW + at)) for at in (9.99, 10.0, 59.99, 60.0)] == [False, True, True, False]


async def test_what_is_granted_and_revoked_elsewhere_is_followed(parts: Parts) -> None:
    current = parts.current()
    await current.refresh()
    parts.book.keep(live(1), live(2))
    with capture_logs() as logged:
        await current.refresh()
        assert found(current) == [live(1).id, live(2).id]
        parts.book.ended.add(live(1).id)
        await current.refresh()
    assert found(current) == [live(2).id]
    assert [(entry["event"], entry["id"]) for entry in logged if entry["id"] == live(1).id] == [
        ("exception_known", live(1).id),
        ("exception_ended_early", live(1).id),
    ]


async def test_while_nothing_changes_only_the_mark_is_read(parts: Parts) -> None:
    parts.book.keep(live())
    current = parts.current()
    for _ in range(5):
        await current.refresh()
    assert (parts.book.marks, parts.book.reads) == (5, 1)


async def test_a_silent_store_excepts_nobody_after_ten_seconds(parts: Parts) -> None:
    parts.book.keep(live())
    current = parts.current()
    await current.refresh()
    parts.book.is_down = True
    parts.timer.at += MAX_SILENCE_SECONDS
    with suppress(DownError):
        await current.refresh()
    assert found(current) == [live().id]
    parts.timer.at += 0.01
    assert found(current) == []
    parts.book.is_down = False
    await current.refresh()
    assert found(current) == [live().id]


async def test_a_store_that_fails_half_way_leaves_what_was_known_less_what_ended(parts: Parts) -> None:
    parts.book.keep(live(1), live(2))
    current = parts.current()
    await current.refresh()
    parts.book.ended.add(live(1).id)
    reading = parts.book.live

    async def fails(now: float, after: str = "", limit: int = 1000) -> list[LiveException]:
        raise DownError

    parts.book.live = fails  # type: ignore[method-assign]
    with suppress(DownError):
        await current.refresh()
    assert found(current) == [live(2).id]
    parts.book.live = reading  # type: ignore[method-assign]
    await current.refresh()
    assert parts.book.reads == 2


async def test_many_are_read_page_by_page_and_no_more_than_the_bound(parts: Parts) -> None:
    parts.book.keep(*(live(number, subject=f"dev-{number}") for number in range(1, 2501)))
    few, all_ = parts.current(most=1500), parts.current(most=10_000)
    await few.refresh()
    await all_.refresh()
    assert (len(few), len(all_)) == (1500, 2500)
    assert few.of("dev-1500", "m", "inference", NOW)
    assert not few.of("dev-1501", "m", "inference", NOW)
    assert all_.of("dev-2500", "m", "inference", NOW)


async def test_a_fact_holds_no_more_than_its_contract_allows(parts: Parts) -> None:
    parts.book.keep(*(live(number) for number in range(1, 30)))
    current = parts.current()
    await current.refresh()
    assert found(current) == [live(number).id for number in range(1, 17)]


@pytest.mark.parametrize("waives", ["", "null", "[]", '["subject active"]', '[["trust_sufficient"]]', '{"a": 1}'])
async def test_a_row_that_nobody_could_grant_excepts_nobody(parts: Parts, waives: str) -> None:
    parts.book.keep(live(1, waives=waives), live(2))
    current = parts.current()
    await current.refresh()
    assert found(current) == [live(2).id]


async def test_it_follows_and_counts_until_it_is_left(parts: Parts) -> None:
    current = parts.current()
    steps = asyncio.Semaphore(0)

    async def sleep(_seconds: float) -> None:
        await steps.acquire()

    async with current.following(sleep):
        await settled()
        assert (parts.shown.live, parts.shown.age, parts.shown.ending) == (0, 0.0, 3)
        parts.book.keep(live())
        parts.uses.add([live().id], NOW)
        for _ in range(2):
            steps.release()
        await settled()
        assert found(current) == [live().id]
        assert parts.book.counted == {live().id: 1}
        parts.uses.add([live().id], NOW)
    assert parts.book.counted == {live().id: 2}


async def test_what_cannot_be_written_waits_and_a_fault_is_logged_once(parts: Parts) -> None:
    current = parts.current()
    steps = asyncio.Semaphore(0)

    async def sleep(_seconds: float) -> None:
        await steps.acquire()

    with capture_logs() as logged:
        async with current.following(sleep):
            await settled()
            parts.uses.add([live().id], NOW)
            parts.book.is_down = True
            for _ in range(6):
                steps.release()
                await settled()
            assert parts.book.counted == {}
            parts.timer.at += 3.0
            steps.release()
            steps.release()
            await settled()
            assert parts.shown.age == 3.0
            parts.book.is_down = False
    assert parts.book.counted == {live().id: 1}
    assert [entry["event"] for entry in logged] == ["exceptions_not_in_step"] * 2


async def test_a_store_that_is_away_to_begin_with_is_a_fault(parts: Parts) -> None:
    parts.book.is_down = True
    with pytest.raises(DownError):
        async with parts.current().following():
            pass


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
