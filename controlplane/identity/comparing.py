"""Compare what the registry has with what the ledger has: each difference is a finding."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from controlplane.identifiers.followed import Enrolled
from controlplane.identifiers.histories import Identity, RecordRefused, judge
from controlplane.identifiers.records import RecordInvalid, SignedRecord
from controlplane.identity.folding import Judged

FindingKind = Literal[
    "unrecorded", "other_key", "revoked_elsewhere", "late", "refused_record", "rejected", "ledger_lied"
]
"""A device without a record, with another key than its records say, or active though they say that it is revoked; a
record that is not anchored in time, that nobody may make, or that the ledger did not take; and a ledger that
contradicts itself."""

FINDINGS: tuple[FindingKind, ...] = (
    "unrecorded",
    "other_key",
    "revoked_elsewhere",
    "late",
    "refused_record",
    "rejected",
    "ledger_lied",
)

MOST_FINDINGS = 100
"""Of a kind, in one pass."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between the registry and the ledger, or what the ledger itself has.

    Attributes:
        kind: which.
        subject: whom it is about; of a ledger that lied, its kind.
        detail: the record and its place, or what differs; for people.
    """

    kind: FindingKind
    subject: str
    detail: str


class Differences(Protocol):
    """What is compared; `storage.ledgers` has it."""

    async def enrolled(self, after: str, limit: int = ...) -> Sequence[Enrolled]:
        """Return devices in order of their names, from after one on."""
        ...

    async def enrolled_of(self, names: Collection[str]) -> Sequence[Enrolled]:
        """Return devices of some names."""
        ...

    async def known(self, ledger: str, subjects: Collection[str]) -> Mapping[str, Identity]:
        """Return identities by name."""
        ...

    async def waiting(self, subjects: Collection[str]) -> Mapping[str, Sequence[SignedRecord]]:
        """Return records of subjects that are not known to be final."""
        ...

    async def late(self, before: float, limit: int) -> Sequence[tuple[str, float]]:
        """Return whose records are not final though they were made before a time, and when."""
        ...


class Comparison:
    """Goes through the registry, some devices at a time, and begins again at its end.

    Args:
        ledger: kind of the ledger.
        differences: what is compared.
        pinned: the founders, by name.
        federation: that is followed.
        own: the organisation that makes records here, as it knows itself. Its records that wait are judged by it where
            the ledger does not know it: after a reorganisation that took its registration back, say.
        late_seconds: after which a record that is not final is a finding.
    """

    def __init__(
        self,
        ledger: str,
        differences: Differences,
        pinned: Mapping[str, Identity],
        federation: str,
        own: Identity | None = None,
        late_seconds: float = 120.0,
    ) -> None:
        self._ledger, self._differences, self._pinned, self._federation = ledger, differences, pinned, federation
        self._own = {} if own is None else {own.subject: own}
        self._late = late_seconds
        self._after = ""

    async def some(self) -> list[Finding]:
        """Return what differs among the next devices."""
        page = await self._differences.enrolled(self._after)
        self._after = page[-1].id if page else ""
        return await self._confirmed(await self._compare(page))

    async def of(self, subjects: Collection[str]) -> list[Finding]:
        """Return what differs for some devices."""
        if not subjects:
            return []
        return await self._confirmed(await self._compare(await self._differences.enrolled_of(subjects)))

    async def late(self, now: float) -> list[Finding]:
        """Return what is not final though there was time."""
        found = await self._differences.late(now - self._late, MOST_FINDINGS)
        return [
            Finding("late", name, f"its record of {now - made_at:.0f} s ago is not final on the ledger")
            for name, made_at in found
        ]

    async def _confirmed(self, found: Sequence[Finding]) -> list[Finding]:
        """Return the findings that still are: a device may have changed between two reads, and its records with it."""
        if not found:
            return []
        again = await self._compare(await self._differences.enrolled_of([one.subject for one in found]))
        return [one for one in again if (one.kind, one.subject) in {(two.kind, two.subject) for two in found}]

    async def _compare(self, page: Sequence[Enrolled]) -> list[Finding]:
        names = [one.id for one in page]
        if not names:
            return []
        waiting = await self._differences.waiting(names)
        issuers = {record.read().statement.issuer for some in waiting.values() for record in some}
        known = {**self._own, **self._pinned, **await self._differences.known(self._ledger, {*names, *issuers})}
        found = []
        for one in page:
            finding = compare(one, known.get(one.id), waiting.get(one.id, ()), known, self._federation)
            if finding is not None:
                found.append(finding)
        return found


def compare(
    device: Enrolled,
    followed: Identity | None,
    waiting: Iterable[SignedRecord],
    known: Mapping[str, Identity],
    federation: str,
) -> Finding | None:
    """Return how a device differs from what is recorded of it; none when it does not.

    Args:
        device: as the registry has it.
        followed: as the ledger has it.
        waiting: records of it that are not final, in order; they count as far as whoever follows will let them.
        known: issuers by name.
        federation: that is followed.
    """
    expected = followed
    for signed in waiting:
        try:
            record = signed.read()
            if expected is not None and record.statement.sequence <= expected.sequence:
                # It was seen on the ledger between two reads; those after it count all the same.
                continue
            expected = judge(record, federation, expected, known.get(record.statement.issuer))
        except (RecordInvalid, RecordRefused):
            break
    if expected is None:
        return Finding("unrecorded", device.id, "the registry has it, and no record of it was ever made")
    if expected.is_revoked:
        if device.status == "revoked":
            return None
        where = f"record {expected.sequence} ({expected.head}) revokes it"
        return Finding("revoked_elsewhere", device.id, f"{where}, and the registry has it as {device.status}")
    if expected.key != device.key:
        return Finding(
            "other_key", device.id, f"record {expected.sequence} ({expected.head}) names another key than the registry"
        )
    return None


def refused(judged: Iterable[Judged]) -> list[Finding]:
    """Return the records of a ledger that nobody may make."""
    return [
        Finding("refused_record", one.subject or "unknown", f"{one.anchored.place}: {one.why} ({one.refusal})")
        for one in judged
        if one.refusal
    ]
