"""Go through candidates in order, ask of each, and stop when there are enough answers or enough was asked."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from controlplane.decisions.candidates import Candidate

MAX_SCAN = 256
"""Candidates that one search asks of at most; what is left is for its next page."""

CHUNK = 64
_FEWEST = 16


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan came to.

    Attributes:
        found: the names that are permitted, in order.
        after: the name after which to go on; none at the end.
        asked: candidates that were asked of.
    """

    found: list[str]
    after: str | None
    asked: int


async def scan(
    listing: Callable[[str, int], Awaitable[Sequence[Candidate]]],
    is_permitted: Callable[[Candidate], Awaitable[bool]],
    after: str,
    limit: int,
) -> Scan:
    """Return up to ``limit`` permitted names that come after ``after``.

    Args:
        listing: the candidates after a name, in order; fewer than asked for are the last.
        is_permitted: asks of one; many are asked of at a time.
        after: where to begin; empty for the beginning.
        limit: names at most.
    """
    found: list[str] = []
    asked = 0
    while len(found) < limit and asked < MAX_SCAN:
        size = min(CHUNK, max(_FEWEST, limit - len(found)), MAX_SCAN - asked)
        chunk = await listing(after, size)
        verdicts = await asyncio.gather(*map(is_permitted, chunk))
        asked += len(chunk)
        for candidate, permitted in zip(chunk, verdicts, strict=True):
            if len(found) == limit:
                return Scan(found, after, asked)
            after = candidate.name
            if permitted:
                found.append(candidate.name)
        if len(chunk) < size:
            return Scan(found, None, asked)
    return Scan(found, after, asked)
