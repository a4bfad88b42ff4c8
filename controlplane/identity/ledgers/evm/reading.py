"""Records read from a node, and held against what the contract's state says of them.

The state of one final block says how many records there are and where each stands; every event that is taken has to
follow from it. A node that leaves an event out, alters one or shows them in another order contradicts its own state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.identity.ledgers.evm.compiled import load
from controlplane.identity.ledgers.evm.nodes import Asked, Block, Log, Refused
from controlplane.identity.ledgers.evm.places import block_of, next_place, subject_key
from controlplane.identity.ledgers.interface import LedgerLied, LedgerUnavailable

MOST_ASKED = 256
"""Records that the contract tells of at once."""

RECORDS = load("records")


@dataclass(frozen=True, slots=True)
class Final:
    """What is final.

    Attributes:
        block: the last block that is.
        count: records up to it.
        is_there: whether the contract is on the chain up to it.
    """

    block: Block
    count: int
    is_there: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """A record on the chain.

    Attributes:
        number: among the contract's records, from 1.
        place: word that commits to it and to all before it.
        raw: its bytes.
        subject: under which it was written, 32 bytes.
        before: number of the one before it of that subject; 0 for none.
        log: the event.
    """

    number: int
    place: int
    raw: bytes
    subject: bytes
    before: int
    log: Log

    @property
    def name(self) -> str:
        """Names it to people: number, block, transaction, event."""
        return f"{self.number} in block {self.log.block}, {self.log.transaction}, event {self.log.index}"


class Reading:
    """Reads one contract at one node.

    Args:
        node: that is asked.
        contract: its address.
        range_blocks: of which events are asked for at once.
        checked: names of nodes that were seen to have our contract there; added to.
    """

    def __init__(self, node: Asked, contract: str, range_blocks: int, checked: set[str]) -> None:
        self.node, self._contract, self._range_blocks = node, contract, range_blocks
        self._checked = checked

    async def final(self, confirmations: int | str) -> Final:
        """Return what is final now.

        Raises:
            LedgerUnavailable: the node does not answer, or the chain has no such contract.
        """
        if isinstance(confirmations, str):
            block = await self.node.block(confirmations)
        else:
            latest = await self.node.block("latest")
            block = await self.node.block(max(0, latest.number - confirmations))
        if self.node.name in self._checked:
            try:
                return Final(block, int(await self.call("count", block=block.number)))
            except Refused:
                # Another chain, or an older block than was read before.
                self._checked.discard(self.node.name)
        if not is_ours(await self.node.code(self._contract, block.number)):
            if is_ours(await self.node.code(self._contract)):
                return Final(block, 0, is_there=False)
            raise LedgerUnavailable(
                f"node {self.node.name} has no contract for records at {self._contract}: "
                "look at ZTFM_EVM_RECORDS and at the chain that the node follows"
            )
        self._checked.add(self.node.name)
        return Final(block, int(await self.call("count", block=block.number)))

    async def places(self, first: int, amount: int, final: Final) -> list[int]:
        """Return the places of records from a number on, by the state of the final block.

        Raises:
            LedgerLied: they are not as many as there must be.
        """
        found = [int(one) for one in await self.call("places", first, amount, block=final.block.number)]
        wanted = min(amount, MOST_ASKED, final.count - first + 1)
        if len(found) != wanted:
            raise LedgerLied(f"node {self.node.name} counts {final.count} records and knows where {len(found)} stand")
        return found

    async def entries(self, places: Sequence[int], first: int, final: Final) -> list[Entry]:
        """Return records, each proven by its place.

        Args:
            places: of the record before the first, and of each of them.
            first: number of the first.
            final: what is final.

        Raises:
            LedgerLied: an event is missing, was altered or stands elsewhere.
        """
        last = first + len(places) - 2
        shown: dict[int, list[Log]] = {}
        for low, high in _ranges([block_of(one) for one in places[1:]], self._range_blocks):
            for log in await self._events(low, high):
                shown.setdefault(_number(log), []).append(log)
        found = []
        for number in range(first, last + 1):
            before, place = places[number - first], places[number - first + 1]
            if not block_of(before) <= block_of(place) <= final.block.number:
                raise LedgerLied(f"node {self.node.name} has record {number} in no block where it can be")
            found.append(self._proven(number, before, place, shown.get(number, [])))
        return found

    async def entry(self, number: int, final: Final) -> Entry:
        """Return one record, proven by its place."""
        places = await self.places(number - 1, 2, final)
        return (await self.entries(places, number, final))[0]

    async def lasts(self, subjects: Sequence[str], final: Final) -> list[int]:
        """Return the number of the last record of each subject, 0 for none."""
        keys = [subject_key(one) for one in subjects]
        return await self._all("lasts", keys, final.block.number)

    async def numbers(self, digests: Sequence[bytes], block: int | str) -> list[int]:
        """Return the number of each record by the Keccak-256 of its bytes; 0 where it is not on the chain."""
        return await self._all("numbers", digests, block)

    async def call(self, name: str, *given: Any, block: int | str = "latest") -> Any:
        """Return what a function of the contract returns."""
        return await self.node.call(self._contract, RECORDS.abi, name, *given, block=block)

    async def _all(self, name: str, given: Sequence[bytes], block: int | str) -> list[int]:
        found = [int(one) for one in await self.call(name, list(given), block=block)] if given else []
        if len(found) != len(given):
            raise LedgerLied(f"node {self.node.name} returns {len(found)} of {len(given)} numbers")
        return found

    async def _events(self, low: int, high: int) -> list[Log]:
        """Return the events of blocks; where that is too much for the node, by halves."""
        try:
            return await self.node.logs(self._contract, RECORDS.abi, ["Written"], low, high, {})
        except Refused:
            if low == high:
                raise
        middle = (low + high) // 2
        return [*await self._events(low, middle), *await self._events(middle + 1, high)]

    def _proven(self, number: int, before: int, place: int, shown: Sequence[Log]) -> Entry:
        for log in shown:
            raw, subject = bytes(log.arguments["record"]), bytes(log.arguments["subject"])
            if log.block == block_of(place) and next_place(before, subject, raw, log.block) == place:
                return Entry(number, place, raw, subject, int(log.arguments["before"]), log)
        what = "shows an event of it that is not what was written" if shown else "shows no event of it"
        raise LedgerLied(f"record {number} is in block {block_of(place)}, and node {self.node.name} {what}")


def is_ours(code: bytes) -> bool:
    """Whether the code of a contract is that of ours: one that was made to lie would be another."""
    return code.startswith(bytes.fromhex(RECORDS.runtime.removeprefix("0x")))


def _number(log: Log) -> int:
    return int(log.arguments["number"])


def _ranges(blocks: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Return ranges of at most so many blocks that cover these, and begin and end with one of them."""
    found: list[tuple[int, int]] = []
    for block in sorted(set(blocks)):
        if found and block - found[-1][0] < most:
            found[-1] = (found[-1][0], block)
        else:
            found.append((block, block))
    return found
