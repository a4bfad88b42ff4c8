"""A few try at once, one of each person's, and nobody waits for ever."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from controlplane.authoring.errors import TrialsBusy
from controlplane.history.workbench.turns import Turns


async def test_others_wait_until_one_of_two_is_done() -> None:
    turns, order = Turns(seconds=30.0), list[str]()

    async def third() -> None:
        async with turns.of("third"):
            order.append("third")

    async with AsyncExitStack() as held:
        await held.enter_async_context(turns.of("first"))
        await held.enter_async_context(turns.of("second"))
        waiting = asyncio.create_task(third())
        # It has come as far as it can.
        await asyncio.sleep(0)
        assert turns._waiting == 1
        order.append("before")
    await waiting
    assert order == ["before", "third"]


@pytest.mark.parametrize(("subject", "is_own"), [("first", True), ("third", False)])
async def test_whoever_waits_too_long_is_told_whose_turn_it_is(subject: str, is_own: bool) -> None:
    turns = Turns(seconds=0.01)
    async with turns.of("first"), turns.of("second"):
        with pytest.raises(TrialsBusy) as refused:
            async with turns.of(subject):
                pytest.fail("there was no turn")
    assert refused.value.is_own is is_own


async def test_no_more_wait_than_may() -> None:
    turns = Turns(at_once=1, waiting=1, seconds=30.0)
    async with turns.of("first"):
        waiting = asyncio.create_task(turns.of("second").__aenter__())
        # It has come as far as it can.
        await asyncio.sleep(0)
        assert turns._waiting == 1
        with pytest.raises(TrialsBusy):
            async with turns.of("third"):
                pytest.fail("there was no turn")
        waiting.cancel()
        await asyncio.wait({waiting})
    async with turns.of("first"):
        assert turns._waiting == 0


async def test_a_try_that_fails_gives_its_turn_back() -> None:
    turns = Turns(at_once=1, seconds=0.01)
    with pytest.raises(ZeroDivisionError):
        async with turns.of("first"):
            raise ZeroDivisionError
    async with turns.of("first"):
        pass
