"""Use in windows that all replicas count together: each takes runs of numbers ahead, and no two have the same number.

What policy is told that a subject used before a request is the request's number in the window. As numbers are given
once over all replicas, at most as many requests as a limit says bear one below it, whatever the limit is. A run is
worth something for a second; what is left of it is given back, so that it counts for nobody. That the last numbers are
then given once more is safe: each is for a lower one that nobody used. Until then others see these as used, and may be
refused early.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from controlplane.decisions.usage import Reserved, Usage
from controlplane.sharing.groups import Groups, Observer
from controlplane.sharing.names import named
from controlplane.storage.errors import StoreUnavailable
from controlplane.storage.limits import Numbers

HOLD_SECONDS = 1.0
"""How long a run may be used."""

MOST = 32
"""Requests of one run: so many may a replica hold back from the others for a second."""

SUBJECTS = 100_000
"""Subjects whose runs a replica keeps."""


class Windows(Protocol):
    """Use of all replicas; `storage.limits` counts it."""

    async def count(self, used: Mapping[str, tuple[int, int]], window_seconds: int) -> dict[str, Numbers]:
        """Count requests and tokens of each name, and return which numbers they are."""
        ...

    async def give_back(self, unused: Mapping[tuple[int, str], tuple[int, int]]) -> None:
        """Uncount requests and tokens, by window and name."""
        ...


@dataclass(frozen=True, slots=True)
class _Run:
    """Numbers of a window, and what of them is used.

    Attributes:
        numbers: the first of them, and what was before.
        requests: how many there are.
        tokens: the same.
        asked_at: when the store was asked, by this replica's timer.
        told_at: when it had answered.
    """

    numbers: Numbers
    requests: int
    tokens: int
    asked_at: float
    told_at: float


@dataclass
class _Held:
    """What a replica has of one subject.

    Attributes:
        run: the latest; none before the first.
        requests: of it that are used.
        tokens: the same.
        size: of the next.
        waiting: those who wait for the next one, with their tokens.
        is_asked: whether it is under way.
    """

    run: _Run | None = None
    requests: int = 0
    tokens: int = 0
    size: int = 1
    waiting: "deque[tuple[int, asyncio.Future[Reserved]]]" = field(default_factory=deque)
    is_asked: bool = False


class SharedUsage:
    """Counts in the current window, and the overlapping share of the one before, over all replicas.

    Windows begin at multiples of their length for everybody, by the store's clock.

    Args:
        windows: of all replicas.
        timer: seconds that never step back.
        observer: hears how often the store is asked.
        window_seconds: length of the window.
    """

    def __init__(
        self, windows: Windows, timer: Callable[[], float], observer: Observer, window_seconds: int = 60
    ) -> None:
        self.window_seconds = float(window_seconds)
        self._windows = windows
        self._timer = timer
        self._length = window_seconds
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._runs: Groups[tuple[str, int, int], _Run] = Groups("usage", self._count, observer)
        self._unused: Groups[tuple[int, str, int, int], None] = Groups("unused", self._give_back, observer)
        self._tasks: set[asyncio.Task[None]] = set()

    async def reserve(self, subject: str, tokens: int = 0) -> Reserved:
        """Count this request of ``subject`` and its tokens; return where, and what was used before.

        Raises:
            StoreUnavailable: the store was not there to ask.
        """
        held = self._of(subject)
        run = held.run
        if run is not None and self._lasts(run) and held.requests < run.requests and held.tokens + tokens <= run.tokens:
            return self._next(subject, held, run, tokens)
        told: asyncio.Future[Reserved] = asyncio.get_running_loop().create_future()
        held.waiting.append((tokens, told))
        if not held.is_asked:
            held.is_asked = True
            self._begin(self._fill(subject, held))
        return await told

    async def look(self, subject: str) -> Usage:
        """Return what ``subject`` used, and count nothing.

        Raises:
            StoreUnavailable: the store was not there to ask.
        """
        held = self._held.get(subject)
        run = None if held is None else held.run
        if held is not None and run is not None and self._lasts(run):
            return self._seen(run, held.requests, held.tokens)
        return self._seen(await self._runs.ask((named("usage", subject), 0, 0)), 0, 0)

    def release(self, reserved: Reserved) -> None:
        """Give back, in the window where they were counted, tokens that were not granted."""
        if reserved.tokens:
            self._begin(self._uncount(reserved.subject, int(reserved.starts_at), 0, reserved.tokens))

    def _of(self, subject: str) -> _Held:
        held = self._held.get(subject)
        if held is None:
            held = self._held[subject] = _Held()
            while len(self._held) > SUBJECTS:
                name, oldest = self._held.popitem(last=False)
                self._end(name, oldest)
        else:
            self._held.move_to_end(subject)
        return held

    def _lasts(self, run: _Run) -> bool:
        left = min(HOLD_SECONDS, self.window_seconds - run.numbers.elapsed)
        return self._timer() < run.asked_at + left

    def _next(self, subject: str, held: _Held, run: _Run, tokens: int) -> Reserved:
        seen = self._seen(run, held.requests, held.tokens)
        held.requests += 1
        held.tokens += tokens
        return Reserved(subject, tokens, run.numbers.starts_at, seen)

    def _seen(self, run: _Run, requests: int, tokens: int) -> Usage:
        before = run.numbers
        # No later than it is: the share of the window before is no smaller than it is.
        elapsed = before.elapsed + self._timer() - run.told_at
        overlap = max(0.0, 1.0 - elapsed / self.window_seconds)
        return Usage(
            before.requests + requests + int(before.requests_before * overlap),
            before.tokens + tokens + int(before.tokens_before * overlap),
        )

    async def _fill(self, subject: str, held: _Held) -> None:
        # Whoever uses up a run within its time gets twice as long a one the next time.
        run = held.run
        is_used = run is not None and held.requests >= run.requests and self._lasts(run)
        held.size = min(MOST, 2 * held.size) if is_used else 1
        self._end(subject, held)
        group = list(held.waiting)
        held.waiting.clear()
        more = max(0, held.size - len(group))
        tokens = [tokens for tokens, _ in group]
        try:
            found = await self._runs.ask(
                (named("usage", subject), len(group) + more, sum(tokens) + more * max(tokens, default=0))
            )
        except Exception as fault:  # noqa: BLE001 - each of those who wait gets it, and nothing is decided for them
            for _, told in group:
                if not told.done():
                    told.set_exception(fault)
        else:
            held.run, held.requests, held.tokens = found, 0, 0
            for wanted, told in group:
                if not told.done():
                    told.set_result(self._next(subject, held, found, wanted))
            asyncio.get_running_loop().call_later(HOLD_SECONDS, self._expire, subject, held, found)
        finally:
            held.is_asked = False
        if held.waiting:
            held.is_asked = True
            self._begin(self._fill(subject, held))

    def _expire(self, subject: str, held: _Held, run: _Run) -> None:
        if held.run is run:
            self._end(subject, held)

    def _end(self, subject: str, held: _Held) -> None:
        """Give back what is left of a subject's run; from now on it has none."""
        run, held.run = held.run, None
        if run is None:
            return
        requests, tokens = run.requests - held.requests, run.tokens - held.tokens
        if requests or tokens:
            self._begin(self._uncount(subject, run.numbers.starts_at, requests, tokens))

    async def _uncount(self, subject: str, starts_at: int, requests: int, tokens: int) -> None:
        try:
            await self._unused.ask((starts_at, named("usage", subject), requests, tokens))
        except StoreUnavailable:
            # It goes on counting as used until the window has passed: somebody is refused early, and nobody late.
            return

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _count(self, group: Sequence[tuple[str, int, int]]) -> list[_Run]:
        used: dict[str, tuple[int, int]] = {}
        for name, requests, tokens in group:
            one, more = used.get(name, (0, 0))
            used[name] = one + requests, more + tokens
        asked_at = self._timer()
        found = await self._windows.count(used, self._length)
        told_at, runs = self._timer(), []
        for name, requests, tokens in group:
            numbers = found[name]
            runs.append(_Run(numbers, requests, tokens, asked_at, told_at))
            found[name] = replace(numbers, requests=numbers.requests + requests, tokens=numbers.tokens + tokens)
        return runs

    async def _give_back(self, group: Sequence[tuple[int, str, int, int]]) -> list[None]:
        unused: dict[tuple[int, str], tuple[int, int]] = {}
        for start, name, requests, tokens in group:
            one, more = unused.get((start, name), (0, 0))
            unused[start, name] = one + requests, more + tokens
        await self._windows.give_back(unused)
        return [None] * len(group)
