"""The archive of an aggregator: accepted updates of the latest rounds, signed, chained, and ready to be done again."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError
from torch import Tensor

from adapters.credentials import subject_of
from adapters.rollback.aggregated import Aggregated
from adapters.rollback.errors import ArchiveDamaged, ArchiveError, TooLarge
from adapters.rollback.folder import Folder
from adapters.rollback.lineage import Plan, Standing, plan, referred, standings, superseded
from adapters.rollback.manifest import (
    ENTRY,
    MOST_ROUNDS,
    Asked,
    Entry,
    RebuildProgress,
    ReplayedRound,
    RollbackEntry,
    RoundEntry,
)
from adapters.rollback.rebuilding import Done, Numbered, Progress, Rebuilt, again, is_begun, rebuild
from adapters.rollback.replay import digest_of_weights, reproducing
from adapters.rollback.signing import digest_of, open_token, sign
from adapters.rollback.verifying import Verified, examine
from adapters.screening import Manifest
from controlplane.contracts.base import StrictModel
from controlplane.jose.keys import DeviceKey

ROUNDS = 50
BYTES = 8 * 1024**3

_ROUND_BYTES = 1024 * 1024
"""What a round's token and the headers of its files take at most, beside the tensors."""

_log = logging.getLogger("ztfm.archive")


class DeltaArchive:
    """Keeps the updates of a window of rounds. A context manager, for one thread at a time.

    What is added is on the disk before the call returns; a process that ends on the way leaves what was there.

    Args:
        folder: of the archive; for nobody else.
        key: of the aggregator, which signs; none only reads.
        signer: whose signatures are accepted; none for ``key``'s, or any where there is no key.
        rounds: that are kept at most.
        most_bytes: that the folder takes at most.
        clock: Unix seconds.

    Raises:
        ArchiveError: another process writes to it, or it is damaged or somebody else's.
        FileNotFoundError: there is none to read.
        OSError: it cannot be read or written.
        ValueError: a bound is no bound.
    """

    def __init__(
        self,
        folder: Path,
        key: DeviceKey | None = None,
        *,
        signer: str | None = None,
        rounds: int = ROUNDS,
        most_bytes: int = BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 1 <= rounds <= MOST_ROUNDS or most_bytes < 1:
            raise ValueError(f"an archive keeps 1 to {MOST_ROUNDS} rounds, and some bytes")
        self._key, self._rounds, self._most_bytes, self._clock = key, rounds, most_bytes, clock
        self._signer = subject_of(key.thumbprint) if key is not None and signer is None else signer
        self._folder = Folder(folder, writes=key is not None)
        try:
            self._entries = self._read()
        except BaseException:
            self._folder.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write."""
        self._folder.close()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is kept, oldest first."""
        return tuple(self._entries.values())

    @property
    def size_bytes(self) -> int:
        """What the folder takes."""
        return self._folder.size_bytes()

    def standings(self) -> list[Standing]:
        """Return how the kept rounds stand."""
        return standings(self.entries)

    def is_superseded(self, digest: str) -> bool:
        """Whether weights were once the model's, and are no more since somebody was left out."""
        return digest in superseded(self.entries)

    def executed(self, order: str, since: str) -> RollbackEntry | None:
        """Return what became of an order of the control plane from a round on, or none when it was not carried out."""
        wanted = order, since
        rollbacks = (one for one in self.entries if isinstance(one, RollbackEntry))
        return next((one for one in rollbacks if wanted in ((a.order, a.since) for a in one.answers)), None)

    def record(self, done: Aggregated) -> RoundEntry:
        """Keep a round and return what was signed of it.

        Raises:
            ArchiveError: the round is in the archive, or of another model than its others; `TooLarge`: it alone is
                larger than the archive may be, or what is signed of it than is read again. Nothing is written then.
            OSError: it cannot be written; the archive is as it was, but may have forgotten old rounds.
        """
        self._require_new(done)
        before, after = _on_cpu(done.before), _on_cpu(done.after)
        updates = [_on_cpu(one.update) for one in done.updates]
        size = Manifest.of(before).size_bytes * (1 + len(updates)) + _ROUND_BYTES
        if size > self._most_bytes:
            raise TooLarge(f"the round takes {size} bytes, and the archive may take {self._most_bytes}")
        entry = RoundEntry(
            sequence=self._next(),
            previous=self._last_hash(),
            round_id=done.round_id,
            model=done.model,
            time=self._clock(),
            weights_before=digest_of_weights(before),
            weights_after=digest_of_weights(after),
            recipe=reproducing(done.recipes, before, after, updates, [one.kept.weight for one in done.updates]),
            updates=[one.kept for one in done.updates],
        )
        token = self._signed(entry)
        self._trim(1, size)
        self._folder.add_weights(entry.weights_before, before)
        self._append(entry, token, updates)
        self._trim(0, 0)
        return entry

    def plan(self, *asked: Asked) -> Plan:
        """Return how the model would be rebuilt without what some subjects contributed."""
        return plan(self.entries, asked)

    def rebuild(self, *asked: Asked, progress: Progress | None = None) -> Rebuilt | None:
        """Return the model without what some subjects contributed, or none when there is nothing to leave out.

        It is part of the archive once it is accepted. Stopped, and asked for again, it goes on where it was, where the
        archive is open for writing. On its way it takes as much room as one more model a round.

        Args:
            asked: whose updates are left out, from when on.
            progress: is told how far it is, and may stop it.

        Raises:
            ArchiveDamaged: something is missing, or not what was signed.
            Stopped: ``progress`` said so.
            TooLarge: too much was asked for at once to be signed.
        """
        todo = self.plan(*asked)
        if todo.base is None:
            return None
        numbers = {one.round_id: number for number, one in self._entries.items() if isinstance(one, RoundEntry)}
        keep = None if self._key is None else self._keep
        done = rebuild(self._folder, todo, numbers, self._begun(todo), keep, progress)
        return Rebuilt(done.state, self._rollback(todo, done))

    def accept(self, rebuilt: Rebuilt) -> RollbackEntry:
        """Make a rebuilt model the archive's: the next round is expected to begin with it.

        Raises:
            ArchiveError: something was archived since it was rebuilt; `TooLarge`: what would be signed is not read
                again. Nothing is written then.
            OSError: it cannot be written; the archive is as it was.
        """
        record = rebuilt.record
        if record.sequence != self._next() or record.previous != self._last_hash():
            raise ArchiveError("something was archived since the model was rebuilt: rebuild it once more")
        token = self._signed(record)
        self._folder.add_weights(record.weights_after, rebuilt.state)
        self._append(record, token, ())
        self._folder.set_progress(None)
        self._folder.retain(referred(self.entries))
        return record

    def latest(self) -> dict[str, Tensor] | None:
        """Return the weights that the model has now, as the archive knows it; none when it cannot know.

        Raises:
            ArchiveDamaged: something is missing, or not what was signed.
        """
        last = next(reversed(self._entries.items()), None)
        if last is None:
            return None
        number, entry = last
        if isinstance(entry, RollbackEntry):
            return self._folder.weights(entry.weights_after)
        if entry.recipe is None:
            return None
        return again(self._folder, Numbered(number, entry), self._folder.weights(entry.weights_before))

    def weights(self, digest: str) -> dict[str, Tensor]:
        """Return weights that are kept.

        Raises:
            ArchiveDamaged: they are not, or are others.
        """
        return self._folder.weights(digest)

    def verify(self, progress: Progress | None = None) -> Verified:
        """Return whether all that is kept is what was signed, and gives what was signed when it is done again."""
        return examine(self._folder, self._signer, progress)

    def _read(self) -> dict[int, Entry]:
        found: dict[int, Entry] = {}
        for number in self._folder.numbers():
            try:
                payload, _ = open_token(self._folder.token(number), self._signer)
                entry = ENTRY.validate_python(payload)
            except (ArchiveDamaged, ValidationError) as error:
                why = error if isinstance(error, ArchiveDamaged) else "holds something else than an entry"
                raise ArchiveDamaged(f"entry {number} {why}. Move the archive away, or restore it.") from None
            if entry.sequence != number:
                raise ArchiveDamaged(f"entry {number} says that it is {entry.sequence}. Restore the archive.")
            found[number] = entry
        return found

    def _require_new(self, done: Aggregated) -> None:
        for entry in self.entries:
            if entry.model != done.model:
                raise ArchiveError(f"the archive is of {entry.model}; give {done.model} one of its own")
            if isinstance(entry, RoundEntry) and entry.round_id == done.round_id:
                raise ArchiveError(f"round {done.round_id} is in the archive")

    def _trim(self, rounds: int, size: int) -> None:
        """Forget the oldest until so many rounds and bytes more have room; what the next is chained to stays."""
        while len(self._entries) > 1 and self._is_full(rounds, size):
            number = next(iter(self._entries))
            self._folder.remove(number)
            del self._entries[number]
            self._folder.retain(referred(self.entries))

    def _is_full(self, rounds: int, size: int) -> bool:
        kept = [isinstance(entry, RoundEntry) for entry in self.entries]
        # A rollback of nothing but rounds that are gone concerns nothing any more.
        return not kept[0] or sum(kept) + rounds > self._rounds or self.size_bytes + size > self._most_bytes

    def _append(self, entry: Entry, token: str, updates: Sequence[Mapping[str, Tensor]]) -> None:
        self._folder.add(entry.sequence, token, updates)
        self._entries[entry.sequence] = entry

    def _signed(self, document: StrictModel) -> str:
        if self._key is None:
            raise ArchiveError("the archive was opened for reading alone")
        return sign(self._key, document)

    def _next(self) -> int:
        return max(self._entries, default=-1) + 1

    def _last_hash(self) -> str | None:
        return digest_of(self._folder.token(max(self._entries))) if self._entries else None

    def _begun(self, todo: Plan) -> Sequence[ReplayedRound]:
        """Return what an earlier attempt did. It saves time alone: what does not read is done again."""
        if self._key is None:
            return ()
        try:
            token = self._folder.progress()
            if token is None:
                return ()
            payload, _ = open_token(token, self._signer)
            done = RebuildProgress.model_validate(payload).replayed
            if not is_begun(todo, done):
                return ()
            self._folder.weights(done[-1].weights_after)
        except (ArchiveDamaged, ValidationError) as error:
            why = error if isinstance(error, ArchiveDamaged) else "it holds something else"
            _log.warning("the rebuild begins anew: what was kept of its progress does not read: %s", why)
            self._folder.retain(referred(self.entries))
            return ()
        return done

    def _keep(self, replayed: Sequence[ReplayedRound], state: Mapping[str, Tensor]) -> None:
        token = self._signed(RebuildProgress(replayed=list(replayed)))
        self._folder.add_weights(replayed[-1].weights_after, state)
        self._folder.set_progress(token)

    def _rollback(self, todo: Plan, done: Done) -> RollbackEntry:
        previous = self._last_hash()
        assert previous is not None  # noqa: S101 - there was something to rebuild
        last = [one for one in self.standings() if not one.is_dropped][-1]
        return RollbackEntry(
            sequence=self._next(),
            previous=previous,
            model=last.entry.model,
            time=self._clock(),
            answers=list(todo.answers),
            weights_before=last.after,
            weights_after=done.digest,
            replayed=list(done.replayed),
            dropped=[entry.round_id for entry in todo.dropped],
        )


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
