"""What those who answer requests and the job have between them. Belongs to one event loop."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from adapters.guard import Guard, Point
from adapters.jobs.board import Board
from adapters.jobs.bounds import Bounds
from adapters.jobs.line import Line
from adapters.jobs.opened import OpenRound
from adapters.jobs.reception import Reception


class Ledger:
    """Counts what was refused on arrival until the guard is told, so that no refusal waits for the guard.

    Of those who have not proven to be members, numbers alone are kept: anybody can be one of them.
    """

    def __init__(self) -> None:
        self._strangers: Counter[tuple[Point, str]] = Counter()
        self._members: list[tuple[Point, str, str, str]] = []

    def stranger(self, point: Point, cause: str) -> None:
        """Something of somebody was refused."""
        self._strangers[point, cause] += 1

    def member(self, point: Point, cause: str, subject: str, round_id: str) -> None:
        """Something of a round's member was refused."""
        self._members.append((point, cause, subject, round_id))

    def hand_over(self) -> Callable[[Guard], None]:
        """Return what tells a guard of everything so far, and begin anew."""
        strangers, self._strangers = self._strangers, Counter()
        members, self._members = self._members, []

        def tell(guard: Guard) -> None:
            guard.report.drops.update(strangers)
            for point, cause, subject, round_id in members:
                guard.drop(point, cause, subject=subject, round_id=round_id)

        return tell


class Desk:
    """Where requests and the job meet.

    Args:
        guard: of the job.
        reception: looks at credentials on arrival.
        bounds: that nobody goes beyond.
        listed: who alone is invited; none for whoever announces itself.
        board: shows how the job stands; none for one of its own.

    Attributes:
        current: the round that is open or being judged; none between rounds.
        announced: who will be invited to the next round, in order.
        news: set when something came that the job may wait for.
    """

    def __init__(
        self,
        guard: Guard,
        reception: Reception,
        bounds: Bounds,
        listed: Collection[str] | None = None,
        board: Board | None = None,
    ) -> None:
        self.listed = None if listed is None else frozenset(listed)
        self.guard = guard
        self.reception = reception
        self.bounds = bounds
        self.line = Line()
        self.ledger = Ledger()
        self.board = board or Board(bounds.waiting)
        self.current: OpenRound | None = None
        self.announced: dict[str, None] = {}
        self.news = asyncio.Event()

    def forget(self) -> None:
        """Forget what was kept of those who are neither invited nor in the round that is open."""

    @property
    def invited(self) -> set[str]:
        """Those who are invited, or in the round that is open."""
        return {*self.announced, *(() if self.current is None else self.current.sealed.members)}

    def post(self, state: str, **more: Any) -> None:
        """Announce how the job stands, with the round that is open."""
        about = {"state": state, "audience": self.guard.audience, "model": self.guard.model}
        self.board.post({**about, **more, **({} if self.current is None else self.current.notice())})
