"""What a witness signs, and what it does not (c2sp.org/tlog-witness)."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.merkle import MOST_LEVELS, ProofFailed, verify_consistency
from controlplane.transparency.notes import Note, NoteInvalid, Signature, Signer, Verifier
from controlplane.witness.memory import Finding, Head, Memory

MOST_BODY = 128 * 1024
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True)
class Shown:
    """What a log shows.

    Attributes:
        seen: how many entries it takes the witness to have seen.
        proof: that the head adds to these.
        note: the head.
        checkpoint: read from it.
    """

    seen: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> "Shown":
        """Return what a body shows.

        Raises:
            NoteInvalid: it is not of that form.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise NoteInvalid("the body is not UTF-8") from None
        before, found, raw = text.partition("\n\n")
        lines = before.split("\n")
        seen = _OLD.fullmatch(lines[0])
        if not found or seen is None:
            raise NoteInvalid("the body is `old SIZE`, the hashes of a proof, an empty line and a checkpoint")
        if len(lines) - 1 > MOST_LEVELS:
            raise NoteInvalid(f"a proof has at most {MOST_LEVELS} hashes")
        note = Note.parse(raw)
        return cls(int(seen[1]), tuple(_hash(line) for line in lines[1:]), note, Checkpoint.parse(note.text))


@dataclass(frozen=True)
class Answer:
    """What a witness answers.

    Attributes:
        status: of HTTP.
        text: the cosignature's line; with 409 the size that the witness saw; else why not.
        suspect: the log may have rewritten its history, or somebody put a wrong proof beside an honest head; whoever
            can, looks.
        is_proven: two heads of one size that the log itself signed differ: nobody else can have made these.
    """

    status: int
    text: str
    suspect: bool = False
    is_proven: bool = False


class Watch:
    """Signs heads that add to those it signed before, and only those.

    Args:
        signer: the witness's key.
        logs: by origin, the keys of the logs that it watches.
        memory: what it signed.
        clock: Unix seconds.
    """

    def __init__(self, signer: Signer, logs: Sequence[Verifier], memory: Memory, clock: Callable[[], float]) -> None:
        if signer.kind != "cosignature":
            raise ValueError("a witness signs cosignatures")
        self._signer = signer
        self._logs: Mapping[str, Verifier] = {one.name: one for one in logs}
        self._memory = memory
        self._clock = clock

    @property
    def verifier(self) -> Verifier:
        """What others verify its cosignatures with."""
        return self._signer.verifier

    def show(self, body: bytes) -> Answer:
        """Return the answer to a head that a log shows; what is signed was remembered before."""
        try:
            shown = Shown.parse(body)
        except NoteInvalid as error:
            return Answer(400, f"{error}\n")
        key = self._logs.get(shown.checkpoint.origin)
        if key is None:
            return Answer(404, "this witness does not watch a log of that origin\n")
        if shown.note.signed_by(key) is None:
            return Answer(403, "the head is not signed with the key that is known for this log\n")
        if shown.seen > shown.checkpoint.size:
            return Answer(400, "a log does not shrink\n")
        known = self._memory.head(key.name)
        seen = 0 if known is None else known.size
        if shown.seen != seen:
            # An old head says nothing against a log: anybody may show it again.
            return Answer(409, f"{seen}\n")
        return self._judged(shown, known)

    def found(self, origin: str, place: int | None, what: str) -> None:
        """Remember what a log did."""
        self._memory.find(Finding(origin, int(self._clock()), place, what))

    def _judged(self, shown: Shown, known: Head | None) -> Answer:
        checkpoint = shown.checkpoint
        if known is not None and known.size == checkpoint.size and known.root != checkpoint.root:
            return Answer(409, f"{known.size}\n", suspect=True, is_proven=True)
        if known is not None:
            try:
                verify_consistency(known.size, checkpoint.size, shown.proof, known.root, checkpoint.root)
            except ProofFailed as error:
                return Answer(422, f"{error}\n", suspect=True)
        elif shown.proof:
            return Answer(422, "nothing needs to be proven of a log that was not seen before\n")
        signature = self._signer.sign(checkpoint.text, int(self._clock()))
        self._keep(shown, signature)
        return Answer(200, signature.line())

    def _keep(self, shown: Shown, signature: Signature) -> None:
        note = shown.note.with_signatures([signature])
        self._memory.keep_head(shown.checkpoint.origin, Head(shown.checkpoint.size, shown.checkpoint.root, str(note)))


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != 32:
        raise NoteInvalid("each line of a proof is a hash of 32 bytes in base64")
    return found
