"""The latest head that was signed here, kept outside the database: whoever puts an older one back is found.

A database holds its own heads. One that was put back from a backup holds older ones, that fit: what is signed next
would be a second history of the same log, which the log's keeper could not tell. What was signed last is therefore
kept in a file beside the key too, and is the latest head until the log begins with it again.
"""

import asyncio
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from controlplane.audit.heads import Tree
from controlplane.transparency.checkpoints import Checkpoint, Quorum, verify_checkpoint
from controlplane.transparency.merkle import Subtree, joined, root_pieces
from controlplane.transparency.notes import NoteInvalid, Verifier

_log = logging.getLogger("ztfm.log")

HEAD_FILE = "log-head"
"""Where the head is kept, in the state folder."""


def read_head(path: Path, verifier: Verifier) -> tuple[Checkpoint, str] | None:
    """Return the head that a file keeps and its note, or none where it keeps none of this log's.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        note = path.read_text()
        return verify_checkpoint(note, Quorum(verifier)).checkpoint, note
    except FileNotFoundError:
        return None
    except (NoteInvalid, UnicodeError) as error:
        _log.warning("%s keeps no head of this log (%s): it is not looked at", path, error)
        return None


async def begins_with(tree: Tree, head: Checkpoint) -> bool:
    """Whether a log whose tree is brought up to its entries begins with those of a head."""
    parts = root_pieces(head.size)
    try:
        found = await tree.hashes(parts)
    except LookupError:
        return False
    return joined([found[one] for one in parts]) == head.root


class RememberedTree:
    """A log whose latest head is also kept in a file.

    Args:
        tree: the log.
        path: of the file; processes on one state folder share it.
        verifier: of the log's key; heads of another log say nothing about this one.
    """

    def __init__(self, tree: Tree, path: Path, verifier: Verifier) -> None:
        self._tree = tree
        self._path = path
        self._verifier = verifier
        self._kept = ""

    async def seal(self) -> int:
        """Bring the tree up to the entries, and return how many these are."""
        return await self._tree.seal()

    async def hashes(self, wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
        """Return the hashes of complete subtrees; `LookupError` where one is missing."""
        return await self._tree.hashes(wanted)

    async def checkpoint(self) -> tuple[int, float, str] | None:
        """Return size, time and note of the latest head, or none: that of the file, where the log lacks it."""
        kept = await self._tree.checkpoint()
        if kept is not None and kept[2] == self._kept:
            return kept
        known = await asyncio.to_thread(read_head, self._path, self._verifier)
        if known is None:
            return kept
        head, note = known
        if kept is None or kept[0] < head.size or not await begins_with(self._tree, head):
            return head.size, 0.0 if kept is None else kept[1], note
        if kept[0] > head.size:
            await self._remember(kept[2])
        self._kept = kept[2]
        return kept

    async def keep_checkpoint(self, size: int, time: float, note: str, keep: int) -> None:
        """Keep a head, in both places."""
        await self._tree.keep_checkpoint(size, time, note, keep)
        await self._remember(note)

    async def _remember(self, note: str) -> None:
        self._kept = note
        try:
            await asyncio.to_thread(_replace, self._path, note)
        except OSError as error:
            # What is on record and signed stays so; the next head is tried again.
            _log.error("the latest head is not kept in %s: %s", self._path, error.strerror)


def _replace(path: Path, note: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(note)
    draft.replace(path)
