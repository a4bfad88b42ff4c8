import asyncio
from collections.abc import Mapping, Sequence

import pytest

from controlplane.storage.lookups import Coalesced


class Table:
    """Looks up squares, one query at a time, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.fault: Exception | None = None

    async def look(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(list(keys))
        self.under_way += 1
        self.begun.set()
        assert self.under_way == 1
        try:
            await self.gate.wait()
            if self.fault is not None:
                raise self.fault
            return {key: key * key for key in keys if key >= 0}
        finally:
            self.under_way -= 1


async def test_look_ups_that_arrive_together_are_one_query_of_distinct_keys() -> None:
    table = Table()
    looks = Coalesced(table.look)
    assert await asyncio.gather(*(looks.get(key) for key in (1, 2, 2, 3, -1))) == [1, 4, 4, 9, None]
    assert table.asked == [[1, 2, 3, -1]]


async def test_a_look_up_never_joins_a_query_that_has_begun() -> None:
    table = Table()
    table.gate.clear()
    looks = Coalesced(table.look)
    first = asyncio.create_task(looks.get(1))
    await table.begun.wait()
    later = [asyncio.create_task(looks.get(key)) for key in (1, 2)]
    await asyncio.sleep(0)
    table.gate.set()
    assert await asyncio.gather(first, *later) == [1, 1, 4]
    assert table.asked == [[1], [1, 2]]


async def test_a_query_has_at_most_so_many_keys() -> None:
    table = Table()
    looks = Coalesced(table.look, most=4)
    assert await asyncio.gather(*(looks.get(key) for key in range(10))) == [key * key for key in range(10)]
    assert [len(asked) for asked in table.asked] == [4, 4, 2]


async def test_a_fault_reaches_everybody_who_asked_and_nobody_later() -> None:
    table = Table()
    table.fault = RuntimeError("down")
    looks = Coalesced(table.look)
    results = await asyncio.gather(*(looks.get(key) for key in (1, 2)), return_exceptions=True)
    assert [str(result) for result in results] == ["down", "down"]
    table.fault = None
    assert await looks.get(3) == 9


async def test_one_callers_cancellation_is_his_alone() -> None:
    table = Table()
    table.gate.clear()
    looks = Coalesced(table.look)
    leaver, stayer = (asyncio.create_task(looks.get(key)) for key in (1, 2))
    await asyncio.sleep(0)
    leaver.cancel()
    table.gate.set()
    assert await stayer == 4
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_a_fault_that_nobody_waits_for_is_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    table = Table()
    table.gate.clear()
    table.fault = RuntimeError("down")
    looks = Coalesced(table.look)
    leaver = asyncio.create_task(looks.get(1))
    await table.begun.wait()
    leaver.cancel()
    table.gate.set()
    await asyncio.gather(leaver, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert caplog.records == []


async def test_a_query_that_was_cut_off_does_not_cut_off_those_after_it() -> None:
    table = Table()
    looks = Coalesced(table.look)
    cut = asyncio.create_task(looks.get(1))
    await asyncio.sleep(0)
    assert looks._latest is not None
    looks._latest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert await asyncio.wait_for(looks.get(2), 1.0) == 4
