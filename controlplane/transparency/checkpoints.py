"""Checkpoints (c2sp.org/tlog-checkpoint): how large a log is and what its tree's root is, signed and cosigned."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from controlplane.transparency.merkle import HASH_BYTES
from controlplane.transparency.notes import Note, NoteInvalid, Signature, Verifier, time_of

_MOST_DIGITS = 19


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log.

    Attributes:
        origin: names the log, and the key that signs it.
        size: entries.
        root: of its Merkle tree, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the checkpoint of a note's text.

        Raises:
            NoteInvalid: it holds none.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not lines[0]:
            raise NoteInvalid("a checkpoint is an origin, a size and a root, each on a line")
        size, root = lines[1], _root(lines[2])
        if not size.isascii() or not size.isdigit() or len(size) > _MOST_DIGITS or (size[0] == "0" and size != "0"):
            raise NoteInvalid("the size of a checkpoint is a decimal number without leading zeros")
        found = cls(lines[0], int(size), root)
        if found.text != "\n".join(lines[:3]) + "\n":
            raise NoteInvalid("the root of a checkpoint is not in its one base64 form")
        return found


@dataclass(frozen=True)
class Quorum:
    """Whose signatures make a checkpoint believable.

    Attributes:
        log: verifies the log's own.
        witnesses: verify those of others who watch it.
        needed: how many of the witnesses must have signed.
    """

    log: Verifier
    witnesses: tuple[Verifier, ...] = ()
    needed: int = 0

    def __post_init__(self) -> None:
        """Refuse what nobody could fulfil."""
        if not 0 <= self.needed <= len(self.witnesses):
            raise ValueError(f"{self.needed} of {len(self.witnesses)} witnesses cannot be wanted")
        if len({(one.name, one.key_id) for one in self.witnesses}) != len(self.witnesses):
            raise ValueError("each witness counts once")


@dataclass(frozen=True)
class Seen:
    """A checkpoint that was verified.

    Attributes:
        checkpoint: it.
        note: as it travelled.
        witnesses: names of those whose cosignatures hold.
        witnessed_at: Unix seconds; when the last of those that were needed signed. None where none was needed.
    """

    checkpoint: Checkpoint
    note: Note
    witnesses: tuple[str, ...]
    witnessed_at: int | None


def verify_checkpoint(raw: str, quorum: Quorum) -> Seen:
    """Return a checkpoint that the log and enough witnesses signed.

    Raises:
        NoteInvalid: it is none, another log's, or too few signed; the message names who is missing.
    """
    note = Note.parse(raw)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != quorum.log.name:
        raise NoteInvalid(f"the checkpoint is of {checkpoint.origin}, not of {quorum.log.name}")
    if note.signed_by(quorum.log) is None:
        raise NoteInvalid(f"the checkpoint is not signed by {quorum.log.name} with the key that is known for it")
    found = [(one, signature) for one in quorum.witnesses if (signature := note.signed_by(one)) is not None]
    if len(found) < quorum.needed:
        missing = ", ".join(one.name for one in quorum.witnesses if one not in [key for key, _ in found])
        raise NoteInvalid(f"{len(found)} of {quorum.needed} witnesses signed; no cosignature of {missing} holds")
    return Seen(checkpoint, note, tuple(key.name for key, _ in found), _witnessed_at(found, quorum.needed))


def _witnessed_at(found: Sequence[tuple[Verifier, Signature]], needed: int) -> int | None:
    times = sorted(time_of(signature) for key, signature in found if key.kind == "cosignature")
    return times[needed - 1] if 0 < needed <= len(times) else None


def _root(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_BYTES:
        raise NoteInvalid(f"the root of a checkpoint is {HASH_BYTES} bytes in base64")
    return root
