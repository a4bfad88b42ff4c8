"""Verify an archive: signatures, the chain, every digest, and that doing it all again gives what was signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from adapters.rollback.errors import ArchiveDamaged
from adapters.rollback.folder import Folder
from adapters.rollback.lineage import standings
from adapters.rollback.manifest import ENTRY, Entry, ReplayedRound, RollbackEntry, RoundEntry
from adapters.rollback.rebuilding import Numbered, Progress, again, read_updates
from adapters.rollback.replay import digest_of_weights
from adapters.rollback.signing import digest_of, open_token

ATTEMPTS = 3
"""An archive that is written to meanwhile may forget what is being verified; then it is begun anew."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What verification found.

    Attributes:
        signers: who signed; one, unless the archive is somebody else's in part.
        entries: that are kept and whose signatures hold, oldest first.
        replayed: rounds that gave the signed weights when they were done again.
        not_replayable: rounds that cannot be done again, as was signed.
        restarts: rounds that begin with other weights than the one before ended with; no fault, but nothing of what
            was before can be left out.
        faults: what does not hold, in order; nothing when all does.
    """

    signers: tuple[str, ...]
    entries: tuple[Entry, ...]
    replayed: int
    not_replayable: tuple[str, ...]
    restarts: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class Done:
    """The last order that the control plane knows as done, and that replayed a round at least.

    An archive says of itself what was changed in it, and not that its end was cut off: with a rollback, that would
    bring back what was left out.

    Attributes:
        order: its id.
        digest: of the rebuilt weights, as the aggregator told.
        ended_at: when it did, Unix seconds.
    """

    order: str
    digest: str
    ended_at: float


@dataclass
class _Findings:
    signers: dict[str, None] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    replayed: int = 0
    not_replayable: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class _MovedOn(Exception):  # noqa: N818 - a state
    """An entry was forgotten while it was verified."""


def verify(
    root: Path, signer: str | None = None, progress: Progress | None = None, *, last_done: Done | None = None
) -> Verified:
    """Return what holds of the archive in a folder and what does not; nothing is written.

    Args:
        root: the folder.
        signer: who should have signed; none for anybody, as long as it is one.
        progress: is told how many entries are done; what it returns makes no difference.
        last_done: the last order that the archive should know; none where nobody says so, and then an end that was cut
            off is not noticed.

    Raises:
        FileNotFoundError: there is no archive.
        OSError: it cannot be read.
    """
    return examine(Folder(root, writes=False), signer, progress, last_done)


def examine(
    folder: Folder, signer: str | None, progress: Progress | None = None, last_done: Done | None = None
) -> Verified:
    """Return what holds of an archive and what does not.

    Args:
        folder: of the archive.
        signer: who should have signed; none for anybody, as long as it is one.
        progress: is told how many entries are done; what it returns makes no difference.
        last_done: the last order that the archive should know; none where nobody says so.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _verify(folder, signer, progress, last_done)
        except _MovedOn:
            continue
    return _verify(folder, signer, progress, last_done, is_last=True)


def _verify(
    folder: Folder, signer: str | None, progress: Progress | None, last_done: Done | None, *, is_last: bool = False
) -> Verified:
    found = _Findings()
    _read_chain(folder, signer, found)
    rounds = {one.round_id: Numbered(at, one) for at, one in found.entries.items() if isinstance(one, RoundEntry)}
    for done, (number, entry) in enumerate(found.entries.items()):
        before = len(found.faults)
        if isinstance(entry, RoundEntry):
            _check_round(folder, rounds[entry.round_id], found)
        else:
            _check_rollback(folder, entry, rounds, found)
        if len(found.faults) > before and not folder.has(number) and not is_last:
            raise _MovedOn
        if progress is not None:
            progress(done + 1, len(found.entries))
    entries = tuple(found.entries.values())
    if last_done is not None and not _knows(entries, last_done):
        found.faults.append(
            f"order {last_done.order} is done, and no entry is of it: the archive's end was cut off. Restore it."
        )
    return Verified(
        tuple(found.signers),
        entries,
        found.replayed,
        tuple(found.not_replayable),
        _restarts(entries),
        tuple(found.faults),
    )


def _knows(entries: Sequence[Entry], done: Done) -> bool:
    """Whether an archive carried out an order, or did so before all that it still keeps."""
    rollbacks = (one for one in entries if isinstance(one, RollbackEntry) and one.weights_after == done.digest)
    if any(answer.order == done.order for one in rollbacks for answer in one.answers):
        return True
    oldest = next(iter(entries), None)
    # What follows a rollback that is forgotten may be older than the control plane's word, where that came late.
    return oldest is not None and (oldest.time > done.ended_at or oldest.weights_before == done.digest)


def _read_chain(folder: Folder, signer: str | None, found: _Findings) -> None:
    previous: str | None = None
    last: int | None = None
    for number in folder.numbers():
        if last is not None and number != last + 1:
            found.faults.append(f"entry {number}: those since {last} are missing")
            previous = None
        last = number
        try:
            token = folder.token(number)
            payload, by = open_token(token, signer)
            entry = ENTRY.validate_python(payload)
        except ArchiveDamaged as error:
            found.faults.append(f"entry {number} {error}")
            previous = None
            continue
        except ValidationError:
            found.faults.append(f"entry {number} holds something else than an entry")
            previous = None
            continue
        found.signers[by] = None
        found.entries[number] = entry
        if entry.sequence != number:
            found.faults.append(f"entry {number} was signed as {entry.sequence}")
        if (previous is not None and entry.previous != previous) or (number == 0 and entry.previous is not None):
            found.faults.append(f"entry {number} does not follow the one before it")
        previous = digest_of(token)
    if len(found.signers) > 1:
        found.faults.append(f"several signed: {', '.join(found.signers)}")


def _check_round(folder: Folder, one: Numbered, found: _Findings) -> None:
    entry = one.entry
    for kept in entry.updates:
        if kept.scale == 1.0 and kept.content != kept.update_digest:
            found.faults.append(f"round {entry.round_id}: the update of {kept.subject} is another than it submitted")
    try:
        before = folder.weights(entry.weights_before)
        if entry.recipe is None:
            read_updates(folder, one, frozenset())
            found.not_replayable.append(entry.round_id)
            return
        after = again(folder, one, before)
    except ArchiveDamaged as error:
        found.faults.append(f"round {entry.round_id}: {error}")
        return
    if digest_of_weights(after) != entry.weights_after:
        found.faults.append(f"round {entry.round_id}: done again, it gives other weights than were signed")
        return
    found.replayed += 1


def _check_rollback(folder: Folder, entry: RollbackEntry, rounds: Mapping[str, Numbered], found: _Findings) -> None:
    """Do the rounds of it that are kept again as it says; the last gives the model that it says."""
    name = f"rollback {entry.sequence}"
    try:
        folder.weights(entry.weights_after)
    except ArchiveDamaged as error:
        found.faults.append(f"{name}: {error}")
    ends = [one.weights_before for one in entry.replayed[1:]] + [entry.weights_after]
    for one, expected in zip(entry.replayed, ends, strict=False):
        if one.weights_after != expected:
            found.faults.append(f"{name}: round {one.round_id} does not lead to what follows it")
        if one.round_id in rounds:
            fault = _replayed_fault(folder, rounds[one.round_id], one)
            if fault:
                found.faults.append(f"{name}, round {one.round_id}: {fault}")


def _replayed_fault(folder: Folder, numbered: Numbered, one: ReplayedRound) -> str:
    try:
        after = again(folder, numbered, folder.weights(one.weights_before), frozenset(one.left_out))
    except ArchiveDamaged as error:
        return str(error)
    if digest_of_weights(after) != one.weights_after:
        return "done again without those who were left out, it gives other weights than were signed"
    return ""


def _restarts(entries: Sequence[Entry]) -> tuple[str, ...]:
    alive = [one for one in standings(entries) if not one.is_dropped]
    return tuple(later.entry.round_id for earlier, later in pairwise(alive) if earlier.after != later.before)
