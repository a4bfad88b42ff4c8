"""All wait together, for as long as they are told; whoever stops waits no longer, and patience has an end."""

import asyncio

import pytest

from adapters.fleet.errors import FleetError, Stopped
from adapters.fleet.pace import Pace


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_nobody_asks_before_the_time_that_was_told() -> None:
    pace = Pace()
    pace.wait(0.2, "busy")
    begun = asyncio.get_running_loop().time()
    await asyncio.gather(*(pace.turn() for _ in range(5)))
    assert asyncio.get_running_loop().time() - begun >= 0.19


async def test_a_shorter_wait_does_not_shorten_a_longer_one() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    pace.wait(50.0, "busy")
    pace.wait(1.0, "busy")
    clock.now += 49.0
    pace.stop()
    with pytest.raises(Stopped):
        await pace.turn()


async def test_whoever_waits_is_told_at_once_that_the_run_is_stopped() -> None:
    pace = Pace()
    pace.wait(60.0, "busy")
    waiting = [asyncio.create_task(pace.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    pace.stop()
    found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5.0)
    assert [type(one) for one in found] == [Stopped] * 3


async def test_a_wait_that_is_longer_than_patience_ends_the_run_at_once() -> None:
    pace = Pace(patience_seconds=120.0)
    pace.wait(3600.0, "429 Too many requests")
    with pytest.raises(FleetError, match=r"within 120 s: 429 .*the same command goes on"):
        await pace.turn()


async def test_pauses_grow_while_nothing_gets_on_and_begin_anew_once_it_does() -> None:
    clock = Clock()
    pace = Pace(patience_seconds=10.0, clock=clock)

    async def tries() -> int:
        count = 0
        pace.back_off("away")
        while True:
            try:
                async with asyncio.timeout(0):
                    await pace.turn()
            except TimeoutError:
                clock.now += 0.5
            except FleetError:
                return count
            else:
                count += 1
                pace.back_off("away")

    # After 0.5, 1.5, 3.5 and 7.5 s; the next try would be at 15.5.
    assert await tries() == 4
    clock.now += 60.0
    pace.got_on()
    assert await tries() == 4
