"""Which record counts at a place in a subject's history, as far as the chain is final.

The contract takes any record of its writers. Before one is published, the records of its subject and of whoever
vouched for it are looked up and judged, in the chain's order: so whoever lost a race learns so.
"""

import asyncio
import itertools
from collections.abc import Iterable, Mapping

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.histories import RecordRefused, founders, judge
from controlplane.identifiers.records import Record, RecordInvalid
from controlplane.identity.ledgers.evm.places import decode_record, subject_key
from controlplane.identity.ledgers.evm.reading import Final, Reading

MOST_LOOKED_UP = 512
"""Records that are looked up for one publication. Beyond that nobody is told of a loss: readers judge anyway."""

_AT_ONCE = 8
"""Records that a node is asked for at once."""

Counted = dict[tuple[str, int], str]
"""Hash of the record that counts, by subject and sequence."""


class _TooManyError(Exception):
    """There are more records of these subjects than are looked up."""


class Counting:
    """Looks up what counts.

    Args:
        federation: whose records count.
        known: organisations that everybody pins beforehand, by their DIDs.
    """

    def __init__(self, federation: str, known: Mapping[str, PublicKey]) -> None:
        self._federation, self._known = federation, dict(known)

    async def counted(self, reading: Reading, final: Final, subjects: Iterable[str], seconds: float) -> Counted:
        """Return what counts of these subjects, and of those who vouched for them; nothing when that takes too long.

        Args:
            reading: reads the contract.
            final: what is final.
            subjects: their names.
            seconds: that it may take.

        Raises:
            LedgerUnavailable: the node does not answer.
            LedgerLied: it contradicts itself.
        """
        found: dict[int, Record] = {}
        wanted, done = set(subjects), set[str]()
        try:
            async with asyncio.timeout(seconds):
                while wanted:
                    some = await self._of(reading, final, sorted(wanted), MOST_LOOKED_UP - len(found))
                    found |= some
                    done |= wanted
                    wanted = {one.statement.issuer for one in some.values()} - done
        except (TimeoutError, _TooManyError):
            return {}
        return self._judged(found)

    async def _of(self, reading: Reading, final: Final, subjects: list[str], most: int) -> dict[int, Record]:
        found: dict[int, Record] = {}
        room, looked = asyncio.Semaphore(_AT_ONCE), itertools.count(1)

        async def walk(number: int) -> None:
            while number:
                if next(looked) > most:
                    raise _TooManyError
                async with room:
                    entry = await reading.entry(number, final)
                record = _read(entry.raw)
                if record is not None and entry.subject == subject_key(record.statement.subject):
                    found[number] = record
                # An event cannot be trusted to name an earlier one: numbers must fall.
                number = entry.before if entry.before < number else 0

        walks = [asyncio.ensure_future(walk(last)) for last in await reading.lasts(subjects, final)]
        try:
            await asyncio.gather(*walks)
        finally:
            for one in walks:
                one.cancel()
        return found

    def _judged(self, found: Mapping[int, Record]) -> Counted:
        known, counted = founders(self._known), Counted()
        for number in sorted(found):
            record = found[number]
            said = record.statement
            try:
                known[said.subject] = judge(record, self._federation, known.get(said.subject), known.get(said.issuer))
            except RecordRefused:
                continue
            counted[said.subject, said.sequence] = record.hash
        return counted


def _read(raw: bytes) -> Record | None:
    signed = decode_record(raw)
    try:
        return None if signed is None else signed.read()
    except RecordInvalid:
        return None
