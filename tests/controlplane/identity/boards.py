"""A ledger in memory that can be reorganised: it stands in for a chain where what is tested is who follows it."""

from collections.abc import Sequence

from controlplane.identifiers.records import SignedRecord
from controlplane.identity.ledgers.interface import (
    MOST_AT_ONCE,
    Anchored,
    Followed,
    LedgerUnavailable,
    RecordRejected,
)


class BoardLedger:
    """Keeps what was published in order; the first of a subject and sequence wins."""

    name = "board"

    def __init__(self) -> None:
        self.records: list[SignedRecord] = []
        self.is_down = False
        self.published = 0
        self._forget_from: str | None = None

    async def publish(self, records: Sequence[SignedRecord]) -> None:
        if self.is_down:
            raise LedgerUnavailable("it is down")
        for one in records:
            self.published += 1
            said = one.read().statement
            there = [two for two in self.records if _place(two) == (said.subject, said.sequence)]
            if there and there[0] != one:
                raise RecordRejected(f"another record {said.sequence} of {said.subject} is there")
            if not there:
                self.records.append(one)

    async def follow(self, cursor: str | None, limit: int = MOST_AT_ONCE) -> Followed:
        if self.is_down:
            raise LedgerUnavailable("it is down")
        start = int(cursor or 0)
        forget, self._forget_from = self._forget_from, None
        if forget is not None:
            start = min(start, int(forget))
        some = self.records[start : start + limit]
        anchored = tuple(Anchored(str(start + number), one) for number, one in enumerate(some))
        return Followed(anchored, str(start + len(some)), forget)

    def reorganise(self, start: int, instead: Sequence[SignedRecord]) -> None:
        """Have other records from a place on."""
        self.records[start:] = instead
        self._forget_from = str(start)


def _place(one: SignedRecord) -> tuple[str, int]:
    said = one.read().statement
    return said.subject, said.sequence
