import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from controlplane.audit import AuditLog, AuditUnavailable
from controlplane.audit.errors import AuditError
from controlplane.audit.interfaces import Row, Unobserved
from controlplane.storage import Store, open_store
from controlplane.storage.decisions import Decisions

NOW = 1_767_225_600.0


class Counting:
    """Remembers the size of each group."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.refused: list[int] = []

    def wrote(self, group: int) -> None:
        self.written.append(group)

    def lost(self, group: int) -> None:
        self.refused.append(group)


class Gated:
    """The decisions of a real store, whose commits can be held up."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def add_many(self, records: Sequence[Row]) -> None:
        self.begun.set()
        await self.gate.wait()
        await self._decisions.add_many(records)

    async def get(self, decision_id: str) -> bytes | None:
        return await self._decisions.get(decision_id)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


@pytest.fixture
def gated(store: Store) -> Gated:
    return Gated(store.decisions)


@pytest.fixture
def observer() -> Counting:
    return Counting()


def _document(name: str, **changes: Any) -> bytes:
    known = {
        "id": name,
        "time": NOW,
        "action": "inference",
        "subject": "dev-a",
        "resource": "smart-home-intents",
        "outcome": "deny",
        "reasons": [{"code": "trust_sufficient", "message": "Too little trust.", "remedy": "Take part."}],
        "obligations": {},
        "rules": ["trust_sufficient"],
        "ttl_seconds": 0,
        "policy_revision": "rev-1",
        "facts": {"subject": {"id": "dev-a"}},
    }
    return json.dumps({**known, **changes}).encode()


async def _record(log: AuditLog, name: str, document: bytes | None = None) -> None:
    await log.record(name, NOW, "inference", "dev-a", "deny", document or _document(name))


async def test_a_record_is_durable_when_the_answer_comes_and_reads_back(store: Store, observer: Counting) -> None:
    async with AuditLog(store.decisions, observer) as log:
        await _record(log, "dec-1")
        assert await store.decisions.get("dec-1") == _document("dec-1")
        found = await log.get("dec-1")
        assert found is not None
        assert found.id == "dec-1"
        assert found.facts == {"subject": {"id": "dev-a"}}
        assert not found.allowed
        assert await log.get("dec-2") is None
    assert observer.written == [1]


async def test_nobody_is_answered_before_the_commit(gated: Gated) -> None:
    gated.gate.clear()
    async with AuditLog(gated) as log:
        recording = asyncio.create_task(_record(log, "dec-1"))
        await gated.begun.wait()
        await asyncio.sleep(0.02)
        assert not recording.done()
        gated.gate.set()
        await recording


async def test_what_arrives_during_a_commit_goes_into_the_next_ones_together(gated: Gated, observer: Counting) -> None:
    gated.gate.clear()
    async with AuditLog(gated, observer, group=8) as log:
        recordings = [asyncio.create_task(_record(log, "dec-first"))]
        await gated.begun.wait()
        recordings += [asyncio.create_task(_record(log, f"dec-{number}")) for number in range(20)]
        await asyncio.sleep(0)
        gated.gate.set()
        await asyncio.gather(*recordings)
    assert observer.written == [1, 8, 8, 4]
    assert all([await gated.get(f"dec-{number}") for number in range(20)])


async def test_a_full_queue_refuses_rather_than_delays(gated: Gated, observer: Counting) -> None:
    gated.gate.clear()
    async with AuditLog(gated, observer, queue=3) as log:
        recordings = [asyncio.create_task(_record(log, "dec-first"))]
        await gated.begun.wait()
        recordings += [asyncio.create_task(_record(log, f"dec-{number}")) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(AuditUnavailable, match="3 records wait"):
            await _record(log, "dec-late")
        gated.gate.set()
        await asyncio.gather(*recordings)
    assert observer.refused == [1]
    assert await gated.get("dec-late") is None


async def test_when_a_commit_fails_everybody_in_it_is_refused_and_nothing_is_kept(
    store: Store, gated: Gated, observer: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    await store.decisions.add_many([("dec-2", NOW, "inference", "dev-a", "deny", b"{}")])
    gated.gate.clear()
    async with AuditLog(gated, observer) as log:
        recordings = [asyncio.create_task(_record(log, "dec-0"))]
        await gated.begun.wait()
        recordings += [asyncio.create_task(_record(log, f"dec-{number}")) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        gated.gate.set()
        results = await asyncio.gather(*recordings, return_exceptions=True)
        assert [type(result) for result in results] == [type(None)] + [AuditUnavailable] * 3
        assert [await gated.get(name) for name in ("dec-1", "dec-3")] == [None, None]
        await _record(log, "dec-4")
    assert (observer.written, observer.refused) == ([1, 1], [3])
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]


async def test_a_fault_that_lasts_is_traced_once_and_told_each_time(
    store: Store, observer: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    row = ("dec-1", NOW, "inference", "dev-a", "deny", b"{}")
    await store.decisions.add_many([row])
    async with AuditLog(store.decisions, observer) as log:
        for _ in range(3):
            with pytest.raises(AuditUnavailable):
                await _record(log, "dec-1")
        await _record(log, "dec-2")
        with pytest.raises(AuditUnavailable):
            await _record(log, "dec-1")
    assert [entry.exc_info is not None for entry in caplog.records] == [True, False, False, True]


async def test_a_store_that_is_down_gives_nothing_out_and_says_why(store: Store, observer: Counting) -> None:
    async with AuditLog(store.decisions, observer) as log:
        await store.close()
        with pytest.raises(AuditUnavailable, match="was closed"):
            await _record(log, "dec-1")
    assert observer.refused == [1]


async def test_before_opening_and_after_closing_nothing_is_taken(store: Store) -> None:
    log = AuditLog(store.decisions)
    with pytest.raises(AuditUnavailable, match="not open"):
        await _record(log, "dec-0")
    async with log:
        await _record(log, "dec-1")
    with pytest.raises(AuditError, match="not open"):
        await _record(log, "dec-2")
    assert [await store.decisions.get(name) for name in ("dec-0", "dec-2")] == [None, None]


async def test_closing_leaves_no_record_behind(gated: Gated) -> None:
    gated.gate.clear()
    async with AuditLog(gated, group=2) as log:
        recordings = [asyncio.create_task(_record(log, f"dec-{number}")) for number in range(7)]
        await gated.begun.wait()
        closing = asyncio.create_task(log.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        gated.gate.set()
        await closing
    await asyncio.gather(*recordings)
    assert all([await gated.get(f"dec-{number}") for number in range(7)])


async def test_whoever_gives_up_waiting_for_the_end_cuts_no_commit_off(gated: Gated) -> None:
    gated.gate.clear()
    async with AuditLog(gated) as log:
        recording = asyncio.create_task(_record(log, "dec-1"))
        await gated.begun.wait()
        closing = asyncio.create_task(log.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        gated.gate.set()
        await recording
    assert await gated.get("dec-1") is not None


async def test_a_writer_that_is_cut_off_refuses_everybody_who_waits(gated: Gated, observer: Counting) -> None:
    gated.gate.clear()
    async with AuditLog(gated, observer, group=2) as log:
        recordings = [asyncio.create_task(_record(log, f"dec-{number}")) for number in range(5)]
        await gated.begun.wait()
        assert log._writer is not None
        log._writer.cancel()
        results = await asyncio.wait_for(asyncio.gather(*recordings, return_exceptions=True), 1.0)
        assert {type(result) for result in results} == {AuditUnavailable}
        gated.gate.set()
        await _record(log, "dec-later")
    assert (sum(observer.refused), observer.written) == (5, [1])


async def test_a_caller_who_leaves_takes_no_record_and_nobody_with_him(gated: Gated) -> None:
    gated.gate.clear()
    async with AuditLog(gated) as log:
        first, second = (asyncio.create_task(_record(log, name)) for name in ("dec-1", "dec-2"))
        await gated.begun.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gated.gate.set()
        await second
    assert await gated.get("dec-1") is not None


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"\xff", _document("dec-1", outcome="perhaps"), _document("dec-1")[:-1]]
)
async def test_a_damaged_record_is_a_fault_and_not_an_answer(store: Store, document: bytes) -> None:
    await store.decisions.add_many([("dec-1", NOW, "inference", "dev-a", "deny", document)])
    with pytest.raises(AuditUnavailable, match="damaged"):
        await AuditLog(store.decisions).get("dec-1")


@pytest.mark.parametrize("bounds", [{"group": 0}, {"queue": 0}, {"group": -1}])
def test_a_log_without_room_cannot_be_made(store: Store, bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        AuditLog(store.decisions, **bounds)


async def test_without_an_observer_nothing_is_counted(store: Store) -> None:
    async with AuditLog(store.decisions) as log:
        await _record(log, "dec-1")
        with pytest.raises(AuditUnavailable):
            await _record(log, "dec-1")
    Unobserved().wrote(1)
    Unobserved().lost(1)
