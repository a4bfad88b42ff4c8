"""What audit needs of its surroundings."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

Row = tuple[str, float, str, str, str, bytes]
"""Id, time (Unix seconds), action, subject, outcome, and the serialised `DecisionRecord`."""


class RecordStore(Protocol):
    """Keeps records."""

    async def add_many(self, records: Sequence[Row]) -> None:
        """Keep records, all or none; they are durable when this returns."""
        ...

    async def get(self, decision_id: str) -> bytes | None:
        """Return a record as it was serialised, or none."""
        ...


class FoundRecords(Protocol):
    """A page of records, newest first."""

    @property
    def records(self) -> Sequence[tuple[str, str, bytes]]:
        """Id, action and document of each."""
        ...

    @property
    def before(self) -> str | None:
        """Where the next page begins; none at the end."""
        ...


PageOf = Callable[[str, int, int], Awaitable[FoundRecords]]
"""Returns records whose ids come before one: how many at most, after a look at how many."""


class AuditObserver(Protocol):
    """Counts what audit does."""

    def wrote(self, group: int) -> None:
        """``group`` records became durable in one commit."""
        ...

    def lost(self, group: int) -> None:
        """``group`` records could not be kept; their decisions are not given out."""
        ...


class Spans(Protocol):
    """Traces commits."""

    def current(self) -> object:
        """Return what is under way where a record is handed in."""
        ...

    def carrying(self, name: str, under_way: Iterable[object]) -> AbstractContextManager[object]:
        """Open a span for what is done for several at once."""
        ...


class Unobserved:
    """Counts nothing."""

    def wrote(self, group: int) -> None:
        """Ignore it."""

    def lost(self, group: int) -> None:
        """Ignore it."""
