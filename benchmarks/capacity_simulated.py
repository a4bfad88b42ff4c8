"""One replica under load, event by event: workers, the batches that they send to OPA, and groups of records.

It supports the arithmetic of `benchmarks.capacity`: whether requests wait too long at the load that is planned for, and
what batching gives back. Times are seconds of a clock that is simulated; everything is drawn from one seed.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_IN_A_CALL = 64
CALLS_AT_ONCE = 2
MOST_IN_A_GROUP = 256


@dataclass(frozen=True)
class Costs:
    """What one step takes, seconds.

    Attributes:
        work: of a worker, for one decision.
        call: of OPA, for one call, whatever it carries.
        evaluation: of OPA, for one decision in a call.
        group: of the store, for one transaction.
        record: of the store, for one record in it.
    """

    work: float
    call: float
    evaluation: float
    group: float
    record: float


@dataclass(frozen=True)
class Replica:
    """What a replica is made of.

    Attributes:
        workers: processes that serve, each with a core.
        opa_cores: of its OPA.
    """

    workers: int
    opa_cores: int


@dataclass(frozen=True)
class Simulated:
    """What became of the decisions.

    Attributes:
        decisions: that were made.
        p50_ms: half of them took at most this, milliseconds.
        p99_ms: 99 of 100.
        batch: decisions in a call, on average.
        group: records in a transaction, on average.
        workers_busy: share of the time, of all workers.
        opa_busy: the same of OPA's cores.
        opa_us: of OPA's processor time a decision, microseconds.
    """

    decisions: int
    p50_ms: float
    p99_ms: float
    batch: float
    group: float
    workers_busy: float
    opa_busy: float
    opa_us: float


@dataclass
class _Worker:
    waiting: deque[float] = field(default_factory=deque)
    is_busy: bool = False
    asking: deque[float] = field(default_factory=deque)
    calls: int = 0


def simulated(rate: float, replica: Replica, costs: Costs, *, decisions: int = 20_000, seed: int = 0) -> Simulated:
    """Return what becomes of decisions that arrive at random (a Poisson process), each at a random worker.

    Args:
        rate: decisions a second.
        replica: what serves them.
        costs: of each step; a worker's time for a decision is exponential, the others are as they are.
        decisions: how many arrive; the first tenth warms up and is not counted.
        seed: of what is drawn.
    """
    return _Simulation(rate, replica, costs, decisions, random.Random(seed)).run()


class _Simulation:
    def __init__(self, rate: float, replica: Replica, costs: Costs, decisions: int, draw: random.Random) -> None:
        self._rate, self._replica, self._costs, self._left, self._draw = rate, replica, costs, decisions, draw
        self._warm = decisions // 10
        self._now, self._ids = 0.0, 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._workers = [_Worker() for _ in range(replica.workers)]
        self._free = replica.opa_cores
        self._calls: deque[tuple[_Worker, list[float]]] = deque()
        self._records: deque[float] = deque()
        self._is_committing = False
        self._took: list[float] = []
        self._made = self._asked = self._groups = 0
        self._work = self._evaluated = 0.0

    def run(self) -> Simulated:
        self._at(0.0, self._arrive)
        while self._events:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        took = sorted(self._took[self._warm :])
        count = len(self._took)
        return Simulated(
            decisions=count,
            p50_ms=took[len(took) // 2] * 1e3,
            p99_ms=took[int(len(took) * 0.99)] * 1e3,
            batch=count / self._asked,
            group=count / self._groups,
            workers_busy=self._work / (self._now * self._replica.workers),
            opa_busy=self._evaluated / (self._now * self._replica.opa_cores),
            opa_us=self._evaluated / count * 1e6,
        )

    def _at(self, wait: float, happen: Callable[[], None]) -> None:
        self._ids += 1
        heapq.heappush(self._events, (self._now + wait, self._ids, happen))

    def _arrive(self) -> None:
        worker = self._draw.choice(self._workers)
        worker.waiting.append(self._now)
        self._begin(worker)
        self._left -= 1
        if self._left > 0:
            self._at(self._draw.expovariate(self._rate), self._arrive)

    def _begin(self, worker: _Worker) -> None:
        if worker.is_busy or not worker.waiting:
            return
        worker.is_busy, since = True, worker.waiting.popleft()
        takes = self._draw.expovariate(1 / self._costs.work)
        self._work += takes

        def _done() -> None:
            worker.is_busy = False
            worker.asking.append(since)
            self._ask(worker)
            self._begin(worker)

        self._at(takes, _done)

    def _ask(self, worker: _Worker) -> None:
        """Send what waits; a second call beside the first only when it is full."""
        while worker.asking and (worker.calls == 0 or len(worker.asking) >= MOST_IN_A_CALL):
            if worker.calls >= CALLS_AT_ONCE:
                return
            count = min(len(worker.asking), MOST_IN_A_CALL)
            worker.calls += 1
            self._calls.append((worker, [worker.asking.popleft() for _ in range(count)]))
            self._evaluate()

    def _evaluate(self) -> None:
        while self._free and self._calls:
            worker, asked = self._calls.popleft()
            self._free -= 1
            self._asked += 1
            takes = self._costs.call + len(asked) * self._costs.evaluation
            self._evaluated += takes

            def _done(worker: _Worker = worker, asked: list[float] = asked) -> None:
                self._free += 1
                worker.calls -= 1
                self._records.extend(asked)
                self._commit()
                self._evaluate()
                self._ask(worker)

            self._at(takes, _done)

    def _commit(self) -> None:
        if self._is_committing or not self._records:
            return
        group = [self._records.popleft() for _ in range(min(len(self._records), MOST_IN_A_GROUP))]
        self._is_committing = True
        self._groups += 1

        def _done() -> None:
            self._is_committing = False
            self._took += [self._now - since for since in group]
            self._commit()

        self._at(self._costs.group + len(group) * self._costs.record, _done)
