"""Follow a ledger: what is final is judged and kept, and what is made here is published, as often as it takes.

Any number of replicas may follow with one store: whoever comes second keeps nothing, and goes on from there. Nothing
here is asked while a request waits.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.followed import Anew, FollowedRecord, Read
from controlplane.identifiers.histories import Identity, founders
from controlplane.identifiers.records import Act, SignedRecord
from controlplane.identity.folding import Judged, fold, read
from controlplane.identity.ledgers.interface import MOST_AT_ONCE, Anchored, Ledger, RecordRejected

AGAIN_SECONDS = 60.0
"""How long what was published has time to become final, before it is published again."""


class State(Protocol):
    """Keeps what was followed; `storage.ledgers` does."""

    async def read(self, ledger: str) -> Read:
        """Return how far a ledger was read."""
        ...

    async def known(self, ledger: str, subjects: Collection[str]) -> Mapping[str, Identity]:
        """Return identities by name."""
        ...

    async def keep(
        self,
        ledger: str,
        before: Read,
        cursor: str,
        found: Sequence[FollowedRecord],
        changed: Collection[Identity],
        now: float,
    ) -> bool:
        """Keep what follows, or nothing of it where somebody else went on meanwhile."""
        ...

    async def forget(self, ledger: str, before: Read, place: str, judge: Anew) -> Read | None:
        """Forget the records from a place on and judge what is left anew; none where somebody else went on."""
        ...


class Made(Protocol):
    """A record that was made here."""

    @property
    def record(self) -> SignedRecord:
        """It."""
        ...


class Outbox(Protocol):
    """Records that were made here; `storage.identities` has them."""

    async def outbox(self, limit: int) -> Sequence[Made]:
        """Return those that are still to be published, in the order in which they were made."""
        ...

    async def withdraw(self, name: str) -> None:
        """Forget one, by its hash, that its ledger does not take."""
        ...


class FollowingObserver(Protocol):
    """Counts."""

    def identity_record(self, act: Act) -> None:
        """A record of a ledger counts, and says that."""
        ...


class Follower:
    """Keeps up with a ledger.

    Args:
        ledger: it.
        state: keeps what is followed.
        pinned: keys of the organisations that everybody knows beforehand, by their names.
        federation: that is followed.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        state: State,
        pinned: Mapping[str, PublicKey],
        federation: str,
        observer: FollowingObserver,
        clock: Callable[[], float],
    ) -> None:
        self._ledger, self._state, self._pinned = ledger, state, founders(pinned)
        self._federation, self._observer, self._clock = federation, observer, clock

    @property
    def ledger(self) -> str:
        """Kind of the ledger."""
        return self._ledger.name

    async def known(self, subjects: Collection[str]) -> dict[str, Identity]:
        """Return identities as the ledger has them, founders among them, those of some names that there are."""
        found = await self._state.known(self.ledger, subjects)
        return {**{name: one for name, one in self._pinned.items() if name in subjects}, **found}

    async def advance(self) -> list[Judged] | None:
        """Take in what is final and was not read yet, a page of it.

        Returns:
            The records as they were judged; empty at the end of the ledger, none where somebody else was faster.

        Raises:
            LedgerUnavailable: it does not answer.
            LedgerLied: what it shows is not proven, or contradicts what it showed before. Nothing was taken over.
        """
        before = await self._state.read(self.ledger)
        found = await self._ledger.follow(before.cursor, MOST_AT_ONCE)
        if found.forget_from is not None:
            left = await self._state.forget(self.ledger, before, found.forget_from, self._anew)
            if left is None:
                return None
            before = left
        known = await self._around(found.anchored)
        unchanged = dict(known)
        judged = fold(found.anchored, self._federation, known)
        changed = [one for name, one in known.items() if one is not unchanged.get(name)]
        kept = [_kept(one) for one in judged]
        if not await self._state.keep(self.ledger, before, found.cursor, kept, changed, self._clock()):
            return None
        for one in judged:
            if not one.refusal and one.record is not None:
                self._observer.identity_record(one.record.statement.act)
        return judged

    def _anew(
        self, page: Sequence[FollowedRecord], known: dict[str, Identity]
    ) -> tuple[list[FollowedRecord], list[Identity]]:
        """Judge records of before by what is known from those before them."""
        for name, one in self._pinned.items():
            known.setdefault(name, one)
        unchanged = dict(known)
        judged = fold([Anchored(one.place, one.record) for one in page], self._federation, known)
        return [_kept(one) for one in judged], [one for name, one in known.items() if one is not unchanged.get(name)]

    async def _around(self, found: Sequence[Anchored]) -> dict[str, Identity]:
        names = set()
        for one in found:
            record = read(one)
            if record is not None:
                names |= {record.statement.subject, record.statement.issuer}
        return await self.known(names) if names else {}


class Publishing:
    """Has a ledger take what was made here.

    Args:
        ledger: takes it.
        outbox: has it.
        clock: Unix seconds.
    """

    def __init__(self, ledger: Ledger, outbox: Outbox, clock: Callable[[], float]) -> None:
        self._ledger, self._outbox, self._clock = ledger, outbox, clock
        self._published: dict[str, float] = {}

    async def publish(self) -> list[SignedRecord]:
        """Publish what was not yet; after a crash, again. Whatever lies there already changes nothing.

        Returns:
            Those that the ledger does not take, since another of the same subject and sequence came first; they were
            withdrawn.

        Raises:
            LedgerUnavailable: it does not answer; trying again is right.
        """
        now = self._clock()
        self._published = {name: at for name, at in self._published.items() if 0 <= now - at < AGAIN_SECONDS}
        found = [one.record for one in await self._outbox.outbox(MOST_AT_ONCE)]
        again = {one.read().statement.subject for one in found if one.read().hash not in self._published}
        # With those that it follows: a chain may have taken them back meanwhile, and it would be refused without them.
        due = [one for one in found if one.read().statement.subject in again]
        lost = []
        while due:
            taken = await self._taken(due)
            self._published.update({one.read().hash: now for one in due[:taken]})
            if taken < len(due):
                lost.append(due[taken])
                await self._outbox.withdraw(due[taken].read().hash)
            due = due[taken + 1 :]
        return lost

    async def _taken(self, due: Sequence[SignedRecord]) -> int:
        """Publish records and return how many come before one that is rejected; all of them, when none is."""
        try:
            await self._ledger.publish(due)
        except RecordRejected:
            if len(due) == 1:
                return 0
        else:
            return len(due)
        for number, one in enumerate(due):
            try:
                await self._ledger.publish([one])
            except RecordRejected:
                return number
        return len(due)


def _kept(one: Judged) -> FollowedRecord:
    name = "" if one.record is None else one.record.hash
    return FollowedRecord(one.anchored.place, one.subject, name, one.refusal, one.anchored.record)
