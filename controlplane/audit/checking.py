"""Look through a whole log: each entry as it was hashed, each record as its entry commits to it, the tree as signed."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.entries import Entry, commit
from controlplane.transparency.merkle import Peaks
from controlplane.transparency.notes import Note, NoteInvalid

PAGE = 1000
MOST_FAULTS = 100

What = Literal["missing", "changed", "record", "head", "unlogged"]


class Logged(Protocol):
    """An entry as it is kept."""

    @property
    def place(self) -> int:
        """In the log."""
        ...

    @property
    def entry(self) -> Entry:
        """It."""
        ...

    @property
    def hash(self) -> bytes:
        """Of its leaf, as it is kept."""
        ...

    @property
    def salt(self) -> bytes | None:
        """None once its record was erased."""
        ...

    @property
    def document(self) -> bytes | None:
        """The record, where no other table holds it."""
        ...


class Entries(Protocol):
    """The log; `storage.log` does."""

    async def page(self, start: int, count: int) -> Sequence[Logged]:
        """Return entries from ``start`` on."""
        ...

    async def size(self) -> int:
        """Return how many there are."""
        ...

    async def checkpoint(self) -> tuple[int, float, str] | None:
        """Return size, time and note of the latest head, or none."""
        ...

    async def unlogged(self, limit: int) -> Sequence[str]:
        """Return decisions that were recorded since the log began and have no entry."""
        ...


class Records(Protocol):
    """The decisions; `storage.decisions` does."""

    async def documents(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the records of those that there are."""
        ...


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was written.

    Attributes:
        what: an entry that is ``missing`` or was ``changed``; a ``record`` that is not what its entry commits to; a
            signed ``head`` that the log does not lead to; a decision that is ``unlogged``.
        place: in the log; none where it has none.
        about: what it is about.
        message: a sentence.
    """

    what: What
    place: int | None
    about: str
    message: str


@dataclass
class Checked:
    """What was looked at so far, and what was found.

    Attributes:
        size: entries that there are.
        entries: that were looked at.
        records: that were compared.
        erased: entries whose record is not kept any more.
        faults: the first hundred.
    """

    size: int = 0
    entries: int = 0
    records: int = 0
    erased: int = 0
    faults: list[Fault] = field(default_factory=list)

    def fault(self, what: What, place: int | None, about: str, message: str) -> None:
        """Note a fault."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(what, place, about, message))


async def check(entries: Entries, records: Records, tell: Callable[[Checked], None]) -> Checked:
    """Look through the whole log.

    Args:
        entries: the log.
        records: of decisions.
        tell: told how far it is.
    """
    found, peaks = Checked(size=await entries.size()), Peaks()
    head = _head(await entries.checkpoint(), found)
    async for page in _pages(entries):
        documents = await records.documents([one.entry.id for one in page if one.entry.kind == "decision"])
        for one in page:
            _look_at(one, documents, found)
            # The hash of what is written now: a hash that was left as it was hides nothing.
            peaks.extend([one.entry.hashed()])
            if head is not None and peaks.size == head.size and peaks.root != head.root:
                found.fault(
                    "head", None, head.origin, f"the {head.size} entries do not lead to the head that was signed"
                )
        tell(found)
    if head is not None and head.size > peaks.size:
        message = f"a head of {head.size} entries was signed, and the log holds {peaks.size}: entries are gone"
        found.fault("missing", peaks.size, head.origin, message)
    for name in await entries.unlogged(MOST_FAULTS):
        found.fault("unlogged", None, name, f"decision {name} was recorded without an entry: it was written by hand")
    return found


async def _pages(entries: Entries) -> AsyncIterator[Sequence[Logged]]:
    start = 0
    while page := await entries.page(start, PAGE):
        yield page
        start = page[-1].place + 1


def _look_at(one: Logged, documents: Mapping[str, bytes], found: Checked) -> None:
    place, name = one.place, f"{one.entry.kind} {one.entry.id}"
    if place != found.entries:
        found.fault("missing", found.entries, "", f"entries {found.entries} to {place - 1} are gone")
    found.entries = place + 1
    if one.entry.hashed() != one.hash:
        found.fault("changed", place, name, f"entry {place} ({name}) is not what was hashed: it was changed by hand")
    if one.salt is None:
        found.erased += 1
        return
    document = documents.get(one.entry.id) if one.entry.kind == "decision" else one.document
    if document is None:
        found.fault("record", place, name, f"the record of {name} is gone, and was not erased in the way that is kept")
    elif commit(one.salt, document).hex() != one.entry.commitment:
        found.fault("record", place, name, f"the record of {name} is not what entry {place} commits to: it was changed")
    else:
        found.records += 1


def _head(kept: tuple[int, float, str] | None, found: Checked) -> Checkpoint | None:
    if kept is None:
        return None
    try:
        return Checkpoint.parse(Note.parse(kept[2]).text)
    except NoteInvalid as error:
        found.fault("head", None, "", f"the head of {kept[0]} entries cannot be read: {error}")
        return None
