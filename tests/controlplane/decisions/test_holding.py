"""Names are held by one at a time, in order of arrival, and by nobody for ever."""

import asyncio

import pytest

from controlplane.decisions.holding import Holds


async def test_who_holds_the_same_names_waits_and_who_holds_others_does_not() -> None:
    holds, seen = Holds(), list[str]()

    async def _hold(who: str, *names: str) -> None:
        async with holds.of(names):
            seen.append(f"{who} begins")
            await asyncio.sleep(0.01)
            seen.append(f"{who} ends")

    await asyncio.gather(_hold("first", "a", "b"), _hold("second", "b", "a", "b"), _hold("other", "c"))
    assert seen == ["first begins", "other begins", "first ends", "other ends", "second begins", "second ends"]
    assert holds._turns == {}


async def test_many_that_hold_names_in_any_order_all_come_to_their_turn() -> None:
    holds, done = Holds(), list[int]()

    async def _hold(number: int) -> None:
        names = [str((number * step) % 7) for step in range(1, 5)]
        async with holds.of(names):
            await asyncio.sleep(0)
            done.append(number)

    await asyncio.wait_for(asyncio.gather(*map(_hold, range(60))), 20)
    assert sorted(done) == list(range(60))


async def test_who_gives_up_waiting_or_fails_keeps_nobody_waiting() -> None:
    holds = Holds()

    async def _wait() -> None:
        async with holds.of(["b", "a"]):
            raise AssertionError("it was held")

    with pytest.raises(ValueError, match="broken"):
        async with holds.of(["b"]):
            waiting = asyncio.create_task(_wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert holds._turns.keys() == {"b"}
            raise ValueError("broken")
    async with asyncio.timeout(5), holds.of(["a", "b"]):
        pass
    assert holds._turns == {}
