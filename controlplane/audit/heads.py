"""Signed heads of the log: how they come about, and who is asked to sign them too.

A head is signed only where it adds to the last one. That is checked here, before anybody else does: whoever wrote into
the database by hand is found by the log itself first.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from controlplane.audit.errors import AuditError
from controlplane.transparency.checkpoints import Checkpoint, Quorum, verify_checkpoint
from controlplane.transparency.merkle import (
    Piece,
    Subtree,
    consistency_pieces,
    hashes_of,
    inclusion_pieces,
    joined,
    root_pieces,
)
from controlplane.transparency.notes import Note, NoteInvalid, Signature, Signer, Verifier, signature_of

_log = logging.getLogger("ztfm.log")

KEPT = 1000
"""Signed heads that are kept."""


class LogRewritten(AuditError):  # noqa: N818 - named for what happened
    """What the log holds is not what was signed: its history was changed. Nothing is signed until it is put back."""


class Tree(Protocol):
    """The log as it is kept; `storage.log` does."""

    async def seal(self) -> int:
        """Bring the tree up to the entries, and return how many these are."""
        ...

    async def hashes(self, wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
        """Return the hashes of complete subtrees; `LookupError` where one is missing."""
        ...

    async def checkpoint(self) -> tuple[int, float, str] | None:
        """Return size, time and note of the latest head, or none."""
        ...

    async def keep_checkpoint(self, size: int, time: float, note: str, keep: int) -> None:
        """Keep a head."""
        ...


class Witness(Protocol):
    """Somebody else who watches the log."""

    @property
    def verifier(self) -> Verifier:
        """Verifies its cosignatures."""
        ...

    async def cosign(self, note: Note, size: int, prove: "Prove") -> Signature:
        """Return its cosignature of a head.

        Raises:
            WitnessUnavailable: it gave none, and may later.
            WitnessAhead: it saw more entries than that.
            WitnessRefused: it gives none, for what it is shown is not what it saw.
        """
        ...


class Prove(Protocol):
    """Proves that the log only grew."""

    async def __call__(self, earlier: int, later: int) -> list[bytes]:
        """Return the hashes that show it."""
        ...


class WitnessUnavailable(AuditError):  # noqa: N818 - a state, as callers see it
    """A witness does not answer, or not as one does."""


class WitnessRefused(AuditError):  # noqa: N818 - named for what happened
    """A witness saw another history of this log. The message says what it found."""


class WitnessAhead(AuditError):  # noqa: N818 - a state, as callers see it
    """A witness saw more entries than it was shown: another process was faster, or entries are gone.

    Attributes:
        seen: how many it saw.
    """

    def __init__(self, seen: int) -> None:
        super().__init__(f"it has seen {seen} entries")
        self.seen = seen


class HeadsObserver(Protocol):
    """Shows how the log stands."""

    def head(self, size: int, time: float, witnesses: int, needed: int) -> None:
        """A head of so many entries was signed, by so many witnesses of those that are needed."""
        ...

    def rewritten(self) -> None:
        """The log is not what was signed."""
        ...

    def witness(self, name: str, result: str) -> None:
        """A witness signed (``signed``), did not answer (``unavailable``), or refused (``refused``)."""
        ...


class Heads:
    """Signs heads of a log, one at a time.

    Args:
        tree: the log.
        signer: the log's own key; its name is the log's origin.
        witnesses: who is asked to sign too.
        needed: how many of them must have, for a head to be believed.
        observer: is shown how the log stands.
        clock: Unix seconds.
    """

    def __init__(
        self,
        tree: Tree,
        signer: Signer,
        witnesses: Sequence[Witness],
        needed: int,
        observer: HeadsObserver,
        clock: Callable[[], float],
    ) -> None:
        self._tree = tree
        self._signer = signer
        self._witnesses = tuple(witnesses)
        self.quorum = Quorum(signer.verifier, tuple(one.verifier for one in witnesses), needed)
        self._observer = observer
        self._clock = clock
        self._turn = asyncio.Lock()

    @property
    def signer(self) -> Signer:
        """The log's own key: what else is stated in the log is signed with it too."""
        return self._signer

    @property
    def origin(self) -> str:
        """Name of the log."""
        return self._signer.name

    async def latest(self) -> tuple[Checkpoint, Note] | None:
        """Return the latest signed head, or none.

        Raises:
            LogRewritten: what is kept as the head is not signed by this log's key.
        """
        kept = await self._tree.checkpoint()
        if kept is None:
            return None
        try:
            seen = verify_checkpoint(kept[2], Quorum(self._signer.verifier))
        except NoteInvalid as error:
            raise LogRewritten(
                f"the head of {kept[0]} entries is not signed with this log's key ({error}). Either another log's key "
                "lies in ZTFM_LOG_KEY_FILE, or somebody wrote into the database: restore what is missing"
            ) from None
        return seen.checkpoint, seen.note

    async def advance(self) -> tuple[Checkpoint, Note] | None:
        """Sign a head of what there is, if it is more than before or witnesses are missing; return the latest.

        Raises:
            LogRewritten: the log does not begin with what was signed before.
        """
        async with self._turn:
            latest = await self.latest()
            size = await self._tree.seal()
            if latest is not None:
                await self._require_begun_with(latest[0], size)
            if size == 0 or (latest is not None and latest[0].size == size and self._is_complete(latest[1])):
                return latest
            checkpoint, note = latest if latest is not None and latest[0].size == size else await self._signed(size)
            note = note.with_signatures(await self._cosigned(note, size))
            now = self._clock()
            await self._tree.keep_checkpoint(size, now, str(note), KEPT)
            self._observer.head(size, now, self._signatures(note), self.quorum.needed)
            return checkpoint, note

    async def include(self, place: int, size: int) -> list[bytes]:
        """Return the hashes that show that an entry is in the tree of ``size`` entries.

        Raises:
            LogRewritten: the log lacks one of them.
        """
        return await self._proof(inclusion_pieces(place, size))

    async def grew(self, earlier: int, later: int) -> list[bytes]:
        """Return the hashes that show that the tree of ``later`` entries adds to that of ``earlier``.

        Raises:
            LogRewritten: the log lacks one of them.
        """
        return await self._proof(consistency_pieces(earlier, later))

    async def _proof(self, parts: Sequence[Piece]) -> list[bytes]:
        return hashes_of(parts, await self._hashes([one for part in parts for one in part]))

    async def _root(self, size: int) -> bytes:
        parts = root_pieces(size)
        found = await self._hashes(parts)
        return joined([found[one] for one in parts])

    async def _hashes(self, wanted: Iterable[Subtree]) -> Mapping[Subtree, bytes]:
        try:
            return await self._tree.hashes(wanted)
        except LookupError as error:
            raise LogRewritten(f"{error}: somebody wrote into the database, see `ztfm audit check`") from None

    async def _require_begun_with(self, signed: Checkpoint, size: int) -> None:
        try:
            is_same = size >= signed.size and await self._root(signed.size) == signed.root
        except LogRewritten:
            is_same = False
        if not is_same:
            self._observer.rewritten()
            raise LogRewritten(
                f"the log holds {size} entries and does not begin with the {signed.size} that were signed: somebody "
                "wrote into the database, or put an older one back. `ztfm audit check` names the entries; restore them "
                "from a backup, or begin another log with `ztfm store reopen --log new`"
            )

    async def _signed(self, size: int) -> tuple[Checkpoint, Note]:
        checkpoint = Checkpoint(self._signer.name, size, await self._root(size))
        return checkpoint, Note(checkpoint.text, (self._signer.sign(checkpoint.text),))

    async def _cosigned(self, note: Note, size: int) -> list[Signature]:
        missing = [one for one in self._witnesses if note.signed_by(one.verifier) is None]
        answers = await asyncio.gather(*(self._ask(one, note, size) for one in missing))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, witness: Witness, note: Note, size: int) -> Signature | None:
        name = witness.verifier.name
        try:
            signature = await witness.cosign(note, size, self.grew)
        except WitnessAhead as error:
            await self._behind(witness, size, error.seen)
            return None
        except WitnessUnavailable as error:
            _log.warning("witness %s gave no cosignature of %d entries: %s", name, size, error)
            self._observer.witness(name, "unavailable")
            return None
        except WitnessRefused as error:
            _log.error("witness %s refuses the head of %d entries: %s", name, size, error)
            self._observer.witness(name, "refused")
            return None
        if not witness.verifier.holds(note.text, signature):
            _log.error("what witness %s answered is no cosignature of its key", name)
            self._observer.witness(name, "refused")
            return None
        self._observer.witness(name, "signed")
        return signature

    async def _behind(self, witness: Witness, size: int, seen: int) -> None:
        """Tell a head that another process was faster with from a log that has lost what a witness saw."""
        name = witness.verifier.name
        if await self._tree.seal() >= seen:
            # The next head shows the witness how the log grew from there.
            _log.info("witness %s saw a later head than that of %d entries", name, size)
            self._observer.witness(name, "unavailable")
            return
        _log.error("witness %s refuses the head of %d entries: it has seen %d, so entries are gone", name, size, seen)
        self._observer.witness(name, "refused")

    def _signatures(self, note: Note) -> int:
        return sum(note.signed_by(one.verifier) is not None for one in self._witnesses)

    def _is_complete(self, note: Note) -> bool:
        return self._signatures(note) == len(self._witnesses)


def parse_cosignature(body: str, verifier: Verifier) -> Signature:
    """Return a witness's cosignature from the lines that it answered.

    Raises:
        WitnessUnavailable: there is none of its key.
    """
    for line in body.splitlines()[:16]:
        try:
            found = signature_of(line)
        except NoteInvalid:
            continue
        if (found.name, found.key_id) == (verifier.name, verifier.key_id):
            return found
    raise WitnessUnavailable("it answered without a cosignature of its key")
