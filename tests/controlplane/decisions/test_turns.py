import asyncio

import pytest

from controlplane.decisions.turns import AT_ONCE, in_turns


async def test_results_keep_the_order_and_never_more_than_a_turn_are_under_way() -> None:
    under_way = most = 0

    async def decide(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return -number

    many = range(2 * AT_ONCE + 7)
    assert await in_turns(decide, many) == [-number for number in many]
    assert most == AT_ONCE
    assert await in_turns(decide, []) == []


async def test_what_one_raises_ends_it() -> None:
    async def decide(number: int) -> int:
        if number == 3:
            raise LookupError(number)
        return number

    with pytest.raises(LookupError):
        await in_turns(decide, range(5))
