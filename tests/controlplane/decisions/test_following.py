"""What is done in the background goes on after whatever it meets, and says so once."""

import asyncio

import pytest
from structlog.testing import capture_logs

from controlplane.decisions import following
from controlplane.decisions.following import again, in_step
from controlplane.storage import StoreUnavailable

AWAY = StoreUnavailable("read things", "here", "it is away")


class Turns:
    """Lets the background sleep until the test lets it go on, once."""

    def __init__(self) -> None:
        self._goes_on, self._sleeps = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._sleeps.release()
        await self._goes_on.acquire()

    async def begun(self) -> None:
        await self._sleeps.acquire()

    async def one(self) -> None:
        self._goes_on.release()
        await self.begun()


@pytest.mark.parametrize("fault", [AWAY, ZeroDivisionError()])
async def test_a_fault_is_logged_once_and_once_more_when_it_comes_back(fault: Exception) -> None:
    faults: list[Exception | None] = [None, fault, fault, None, fault]
    turns = Turns()

    async def work() -> None:
        if found := faults.pop(0):
            raise found

    with capture_logs() as logged:
        async with again("things", "things_not_read", work, turns.sleep, every=7.0):
            await turns.begun()
            for _ in range(4):
                await turns.one()
    assert faults == []
    assert turns.slept == [7.0] * 5
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("things_not_read", "error")] * 2


async def test_a_store_that_is_away_to_begin_with_is_told_and_later_it_is_not() -> None:
    turns, is_away = Turns(), False

    async def read() -> None:
        if is_away:
            raise AWAY

    with capture_logs() as logged:
        async with in_step("things", read, turns.sleep):
            is_away = True
            await turns.begun()
            await turns.one()
        with pytest.raises(StoreUnavailable):
            async with in_step("things", read, turns.sleep):
                pass
    assert [entry["event"] for entry in logged] == ["things_not_in_step"]


async def test_a_reading_that_does_not_end_is_given_up_and_other_work_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "READ_SECONDS", 0.01)
    turns, is_hung, ended = Turns(), False, asyncio.Event()

    async def read() -> None:
        if is_hung:
            await asyncio.Event().wait()

    async def work() -> None:
        await ended.wait()
        ended.clear()

    with capture_logs() as logged:
        async with in_step("things", read, turns.sleep):
            is_hung = True
            await turns.begun()
            await turns.one()
            other = Turns()
            async with again("writing", "things_not_written", work, other.sleep):
                await turns.one()
                assert not other.slept
                ended.set()
                await other.begun()
    assert [entry["event"] for entry in logged] == ["things_not_in_step"]
