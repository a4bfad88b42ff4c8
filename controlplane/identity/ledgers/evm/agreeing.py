"""Whether nodes agree: each with itself, with the others, and with what was read before.

A reorganisation of what was not final explains much. What it does not explain is a lie.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from controlplane.identity.ledgers.evm.cursors import Cursor, Seen
from controlplane.identity.ledgers.evm.places import block_of
from controlplane.identity.ledgers.evm.reading import Final, Reading
from controlplane.identity.ledgers.interface import LedgerLied, LedgerUnavailable


async def still_so(reading: Reading, at: Cursor, final: Final) -> Cursor:
    """Return the cursor, or as much of it as is still so after a reorganisation.

    Raises:
        LedgerUnavailable: the node is behind, or does not answer.
        LedgerLied: it has the blocks that were read before, and other records in them.
    """
    if at.tip is not None and await _is_so(reading, at.tip, final):
        return at
    for amount in range(len(at.seen), 0, -1):
        if await _is_so(reading, at.seen[amount - 1], final):
            return at if amount == len(at.seen) and at.tip is None else at.back_to(amount)
    return at.back_to(0)


async def _is_so(reading: Reading, seen: Seen, final: Final) -> bool:
    """Whether the block is there still that has something that was read."""
    place = int(seen.place, 16)
    number = block_of(place)
    if number > final.block.number:
        raise LedgerUnavailable(
            f"node {reading.node.name} is behind: block {number} was final, and it has {final.block.number}"
        )
    if (await reading.node.block(number)).hash != seen.block:
        return False
    if final.count < seen.number or (await reading.places(seen.number, 1, final))[0] != place:
        raise LedgerLied(f"node {reading.node.name} has block {number}, and another record {seen.number} in it")
    return True


async def require_same(readings: Sequence[Reading], final: Final) -> None:
    """Return if the final block is there still, and the same at every node.

    Raises:
        LedgerUnavailable: it was replaced meanwhile, or a node is behind or does not answer.
        LedgerLied: nodes have different blocks or records.
    """
    first, number = readings[0], final.block.number
    await _require_there(first, final)
    for other in readings[1:]:
        if (await other.node.block("latest")).number < number:
            raise LedgerUnavailable(f"node {other.node.name} is behind: it has no block {number} yet")
        if (await other.node.block(number)).hash != final.block.hash:
            raise LedgerLied(
                f"nodes {first.node.name} and {other.node.name} have different blocks {number}: one of them is on "
                "another chain, or lies"
            )
        if not final.is_there:
            continue
        if int(await other.call("count", block=number)) != final.count or await other.places(
            final.count, 1, final
        ) != await first.places(final.count, 1, final):
            raise LedgerLied(
                f"nodes {first.node.name} and {other.node.name} have different records in block {number}: one lies"
            )


async def _require_there(reading: Reading, final: Final) -> None:
    number = final.block.number
    if (await reading.node.block(number)).hash != final.block.hash:
        raise LedgerUnavailable(f"block {number} was replaced while it was read: more confirmations are needed")


@asynccontextmanager
async def unless_replaced(reading: Reading, final: Final) -> AsyncIterator[None]:
    """Hold nothing for a lie that a reorganisation explains, of what was held to be final.

    Raises:
        LedgerUnavailable: the final block was replaced meanwhile.
    """
    try:
        yield
    except LedgerLied:
        await _require_there(reading, final)
        raise


async def require_gone(readings: Sequence[Reading], at: Cursor, kept: Cursor) -> None:
    """Return if a block that the first node has no more is gone at the others, too.

    Args:
        readings: of all nodes.
        at: how far was read.
        kept: as much of it as is still so, which is less.

    Raises:
        LedgerLied: it is there at another.
    """
    gone = at.seen[len(kept.seen)] if len(kept.seen) < len(at.seen) else at.tip
    assert gone is not None  # noqa: S101 - a cursor that was cut has lost something
    number = block_of(int(gone.place, 16))
    for other in readings[1:]:
        if (await other.node.block(number)).hash == gone.block:
            raise LedgerLied(
                f"node {readings[0].node.name} has another block {number} than before, and {other.node.name} has not: "
                "one of them is on another chain, or lies"
            )
