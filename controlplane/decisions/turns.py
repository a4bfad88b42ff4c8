"""Decide on many things, so many at a time: the last of a thousand does not spend its deadline on the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

AT_ONCE = 128
"""As many as the engine has under way: two calls of 64 questions."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def in_turns(decide: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
    """Return what is decided on each item, in order; what one raises ends it."""
    made: list[Result] = []
    for start in range(0, len(items), AT_ONCE):
        made += await asyncio.gather(*map(decide, items[start : start + AT_ONCE]))
    return made
