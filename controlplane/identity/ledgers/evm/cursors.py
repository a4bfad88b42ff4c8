"""How far a reader of the chain has come, and what it has seen on the way: enough to notice another history."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

from pydantic import Field, ValidationError

from controlplane.contracts.base import StrictModel

_MOST_CHARS = 4096
_SPREAD = 8
"""Each record that is remembered lies so many times farther back than the one before it, at least."""

_Hash = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]


class Seen(StrictModel):
    """A record that was read.

    Attributes:
        number: among the contract's records, from 1.
        place: word that commits to it and to all before it.
        block: hash of its block.
        name: its place as it was shown to whoever follows.
    """

    number: Annotated[int, Field(ge=1, lt=2**53)]
    place: _Hash
    block: _Hash
    name: Annotated[str, Field(max_length=128)]


class Cursor(StrictModel):
    """Where to go on.

    Attributes:
        chain: number of it.
        contract: that has the records.
        number: of the last that was read; 0 before the first.
        seen: some records, the first and the last among them, the nearer to the end the denser. After a reorganisation
            the last is the one that is read next.
        tip: the last that was read, where it was no record, and so is not among ``seen``.
    """

    chain: Annotated[int, Field(ge=1)]
    contract: Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
    number: Annotated[int, Field(ge=0, lt=2**53)] = 0
    seen: Annotated[tuple[Seen, ...], Field(max_length=16)] = ()
    tip: Seen | None = None

    def after(self, records: Iterable[Seen], tip: Seen) -> "Cursor":
        """Return the cursor once more was read.

        Args:
            records: some that were read, in order; what was no record is not among them.
            tip: the last that was read, be it a record or not.
        """
        seen = (*(one for one in self.seen if one.number <= self.number), *records)
        after = self._at(tip.number, _thinned(seen))
        return after if tip in seen[-1:] else after.model_copy(update={"tip": tip})

    def back_to(self, amount: int) -> "Cursor":
        """Return the cursor before the last of so many records that are remembered; before all of them for 0."""
        kept = self.seen[:amount]
        return self._at(kept[-1].number - 1 if kept else 0, kept)

    def _at(self, number: int, seen: tuple[Seen, ...]) -> "Cursor":
        return Cursor(chain=self.chain, contract=self.contract, number=number, seen=seen)


def parse_cursor(text: str | None, chain: int, contract: str) -> Cursor:
    """Return a cursor of its text; none begins with the first record.

    Raises:
        ValueError: it is none of this ledger's.
    """
    here = Cursor(chain=chain, contract=contract.lower())
    if text is None:
        return here
    try:
        found = Cursor.model_validate_json(text) if len(text) <= _MOST_CHARS else None
    except ValidationError:
        found = None
    if found is None or not _is_whole(found):
        raise ValueError("the cursor is none of an EVM ledger's: begin without one")
    if found.back_to(0) != here:
        raise ValueError("the cursor is of another chain or contract: begin without one")
    return found


def _is_whole(cursor: Cursor) -> bool:
    numbers = [one.number for one in cursor.seen]
    if not all(one < other for one, other in pairwise(numbers)):
        return False
    if cursor.tip is not None:
        return cursor.tip.number == cursor.number and all(one < cursor.number for one in numbers)
    return numbers[-1:] in ([cursor.number], [cursor.number + 1]) or (not numbers and cursor.number == 0)


def _thinned(seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
    if not seen:
        return ()
    last, kept, reach = seen[-1], [seen[-1]], 0
    for one in reversed(seen[1:-1]):
        distance = last.number - one.number
        if distance > reach:
            kept.append(one)
            reach = distance * _SPREAD
    if len(seen) > 1:
        kept.append(seen[0])
    return tuple(reversed(kept))
