"""Which record counts at a place in a subject's history, as far as the chain is final.

The contract takes any record of its writers. Before one is published, the records of its subject and of whoever
vouched for it are looked up and judged, in the chain's order: so whoever lost a race learns so.
"""

from collections.abc import Iterable, Mapping

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.histories import RecordRefused, founders, judge
from controlplane.identifiers.records import Record, RecordInvalid
from controlplane.identity.ledgers.evm.places import decode_record, subject_key
from controlplane.identity.ledgers.evm.reading import Final, Reading

MOST_LOOKED_UP = 512
"""Records that are looked up for one publication. Beyond that nobody is told of a loss: readers judge anyway."""

Counted = dict[tuple[str, int], str]
"""Hash of the record that counts, by subject and sequence."""


class TooMany(Exception):  # noqa: N818 - a state
    """There are more records of these subjects than are looked up."""


class Counting:
    """Looks up what counts.

    Args:
        federation: whose records count.
        known: organisations that everybody pins beforehand, by their DIDs.
    """

    def __init__(self, federation: str, known: Mapping[str, PublicKey]) -> None:
        self._federation, self._known = federation, dict(known)

    async def counted(self, reading: Reading, final: Final, subjects: Iterable[str]) -> Counted:
        """Return what counts of these subjects, and of those who vouched for them.

        Raises:
            LedgerUnavailable: the node does not answer.
            LedgerLied: it contradicts itself.
        """
        found: dict[int, Record] = {}
        wanted, done = set(subjects), set[str]()
        try:
            while wanted:
                some = await self._of(reading, final, sorted(wanted), MOST_LOOKED_UP - len(found))
                found |= some
                done |= wanted
                wanted = {one.statement.issuer for one in some.values()} - done
        except TooMany:
            return {}
        return self._judged(found)

    async def _of(self, reading: Reading, final: Final, subjects: list[str], most: int) -> dict[int, Record]:
        found: dict[int, Record] = {}
        looked = 0
        for last in await reading.lasts(subjects, final):
            number = last
            while number:
                looked += 1
                if looked > most:
                    raise TooMany
                entry = await reading.entry(number, final)
                record = _read(entry.raw)
                if record is not None and entry.subject == subject_key(record.statement.subject):
                    found[number] = record
                # An event cannot be trusted to name an earlier one: numbers must fall.
                number = entry.before if entry.before < number else 0
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
