"""Questions to the store that go together: what is asked while one statement is under way goes into the next one."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Literal, Protocol, TypeVar

from controlplane.storage.errors import StoreUnavailable

Q = TypeVar("Q")
A = TypeVar("A")

About = Literal["proofs", "rates", "charges", "usage", "unused"]
"""What is counted."""

GROUP = 512
"""Questions of one statement."""

QUEUE = 16_384
"""Questions that may wait for one."""


class Observer(Protocol):
    """Hears what the store was asked."""

    def asked(self, about: About, questions: int, seconds: float, *, is_answered: bool) -> None:
        """So many questions went into one statement, which took so long, or failed."""
        ...


class Groups(Generic[Q, A]):
    """Asks in groups, one at a time, in the order in which the questions came.

    Args:
        about: what is counted.
        ask: answers the questions of a group, each by its place; what it raises, all of them get.
        observer: hears of each group.
        group: questions of one statement at most.
        queue: questions that may wait; more are refused at once.
    """

    def __init__(
        self,
        about: About,
        ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        observer: "Observer",
        group: int = GROUP,
        queue: int = QUEUE,
    ) -> None:
        self._about = about
        self._ask = ask
        self._observer = observer
        self._group = group
        self._queue = queue
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """Return the answer.

        Raises:
            StoreUnavailable: the store was not there to ask, or too many questions wait for it.
        """
        if len(self._waiting) >= self._queue:
            why = f"{self._queue} questions wait for it already; it is slower than requests come"
            raise StoreUnavailable("count what replicas share", "the store", why)
        answered: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answered))
        if self._asking is None:
            self._asking = asyncio.create_task(self._work(), name="shared limits")
        return await answered

    async def _work(self) -> None:
        group: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(self._group, len(self._waiting)))]
                await self._answer(group)
        finally:
            self._asking = None
            # Of a loop that ends nobody waits for an answer that will not come.
            for _, answered in (*group, *self._waiting):
                answered.cancel()
            self._waiting.clear()

    async def _answer(self, group: Sequence[tuple[Q, "asyncio.Future[A]"]]) -> None:
        began = time.perf_counter()
        try:
            answers = await self._ask([question for question, _ in group])
        except Exception as fault:  # noqa: BLE001 - each of the group gets it, and lets nothing pass
            self._observer.asked(self._about, len(group), time.perf_counter() - began, is_answered=False)
            for _, answered in group:
                if not answered.done():
                    answered.set_exception(fault)
            return
        self._observer.asked(self._about, len(group), time.perf_counter() - began, is_answered=True)
        for (_, answered), answer in zip(group, answers, strict=True):
            if not answered.done():
                answered.set_result(answer)
