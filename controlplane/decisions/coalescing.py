"""Many questions, few calls: what arrives while a call is in flight travels together in the next one.

Forwarding requests one by one costs OPA an HTTP exchange and a query set-up each; one keyed query for up to
64 questions costs them once (see docs/performance.md for the measured ratio).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Protocol

from controlplane.decisions.breaker import CircuitBreaker
from controlplane.decisions.engine import (
    Answer,
    Answered,
    BatchAnswer,
    BatchFault,
    BatchTransport,
    Unanswered,
)
from controlplane.telemetry.tracing import UNTRACED, Tracing


class CallObserver(Protocol):
    """Is told of every call, for metrics."""

    def call(self, result: str, seconds: float, size: int) -> None:
        """A call of ``size`` questions ended with ``result`` after ``seconds``."""
        ...

    def state(self, queued: int, *, circuit_open: bool) -> None:
        """The queue or the circuit changed."""
        ...

    def fault(self, error: BaseException) -> None:
        """The transport failed in a way that its contract does not know; its questions were denied."""
        ...


@dataclass(frozen=True)
class CoalescingLimits:
    """The bounds of the decision path.

    Attributes:
        batch: questions per call.
        in_flight: calls at a time; more than one only while full batches wait.
        queue: questions that may wait.
        deadline_seconds: from asking to an answer; after it the answer is an error.
    """

    batch: int = 64
    in_flight: int = 2
    queue: int = 4096
    deadline_seconds: float = 1.0


@dataclass(slots=True)
class _Question:
    package: str
    facts: bytes
    deadline: float
    answer: asyncio.Future[Answer] = field(repr=False)
    asked_within: object = field(repr=False)

    def settle(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Coalescer:
    """A `PolicyEngine` over a `BatchTransport`: coalesces, bounds, and answers every question exactly once."""

    def __init__(
        self,
        transport: BatchTransport,
        observer: CallObserver,
        *,
        clock: Callable[[], float],
        limits: CoalescingLimits | None = None,
        breaker: CircuitBreaker | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._transport = transport
        self._observer = observer
        self._clock = clock
        self._limits = limits or CoalescingLimits()
        self._breaker = breaker or CircuitBreaker(clock)
        self._tracing = tracing
        # Calls belong to nobody who asks: what is bound to the first of them is not to be found with the others'.
        self._own_context = copy_context()
        self._waiting: deque[_Question] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._pump_scheduled = False
        self._expiry: asyncio.TimerHandle | None = None
        self._asked = 0

    async def ask(self, package: str, facts: bytes) -> Answer:
        """Answer one question, within the deadline, whatever happens to the engine."""
        if len(self._waiting) >= self._limits.queue:
            return Unanswered("overloaded")
        loop = asyncio.get_running_loop()
        deadline = self._clock() + self._limits.deadline_seconds
        question = _Question(package, facts, deadline, loop.create_future(), self._tracing.current())
        self._waiting.append(question)
        if not self._pump_scheduled:
            self._pump_scheduled = True
            loop.call_soon(self._pump, context=self._own_context)
        if self._expiry is None:
            self._expiry = loop.call_later(self._limits.deadline_seconds, self._expire)
        return await question.answer

    async def close(self) -> None:
        """Answer what still waits with an error and let running calls end."""
        if self._expiry is not None:
            self._expiry.cancel()
        while self._waiting:
            self._waiting.popleft().settle(Unanswered("unreachable"))
        if self._in_flight:
            await asyncio.gather(*self._in_flight, return_exceptions=True)

    def _expire(self) -> None:
        self._expiry = None
        now = self._clock()
        while self._waiting and self._waiting[0].deadline <= now:
            self._waiting.popleft().settle(Unanswered("deadline"))
        if self._waiting:
            delay = max(0.001, self._waiting[0].deadline - now)
            self._expiry = asyncio.get_running_loop().call_later(delay, self._expire)

    def _pump(self) -> None:
        self._pump_scheduled = False
        while self._waiting and self._may_call():
            if not self._breaker.admits():
                while self._waiting:
                    self._waiting.popleft().settle(Unanswered("circuit_open"))
                break
            size = min(len(self._waiting), self._limits.batch)
            batch = [self._waiting.popleft() for _ in range(size)]
            task = asyncio.get_running_loop().create_task(self._carry(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)
        self._observer.state(len(self._waiting), circuit_open=self._breaker.is_open)

    def _may_call(self) -> bool:
        # Beside a call in flight only a full one goes out: small ones cost exchanges and bring no answer sooner.
        limits, under_way = self._limits, len(self._in_flight)
        return under_way == 0 or (under_way < limits.in_flight and len(self._waiting) >= limits.batch)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._observer.fault(error)
        self._pump()

    async def _carry(self, batch: list[_Question]) -> None:
        try:
            fault = await self._call(batch)
            if fault is not None and not fault.whole and len(batch) > 1:
                for question in batch:
                    single = await self._call([question])
                    if single is not None:
                        question.settle(Unanswered(single.cause))
            elif fault is not None:
                for question in batch:
                    question.settle(Unanswered(fault.cause))
        finally:
            for question in batch:
                question.settle(Unanswered("engine_error"))

    async def _call(self, batch: list[_Question]) -> BatchFault | None:
        carried = (question.asked_within for question in batch)
        with self._tracing.carrying("ask policy", carried) as span:
            fault = await self._exchange(batch)
            if span.is_recorded:
                span.note({"ztfm.batch.size": len(batch)})
                if fault is not None:
                    span.failed(fault.cause)
        return fault

    async def _exchange(self, batch: list[_Question]) -> BatchFault | None:
        started = self._clock()
        timeout = min(question.deadline for question in batch) - started
        if timeout <= 0:
            return BatchFault("deadline", whole=False)
        first, self._asked = self._asked, self._asked + len(batch)
        try:
            answer = await self._transport.send(encode_batch([(q.package, q.facts) for q in batch], first), timeout)
        except BatchFault as fault:
            if fault.whole:
                self._breaker.failed()
            self._observer.call(_result_of(fault), self._clock() - started, len(batch))
            return fault
        self._breaker.succeeded()
        self._observer.call("ok", self._clock() - started, len(batch))
        _distribute(batch, answer, first)
        return None


def _result_of(fault: BatchFault) -> str:
    known = {"deadline": "timeout", "unreachable": "unreachable", "malformed": "malformed"}
    return known.get(fault.cause, "error")


def _distribute(batch: list[_Question], answer: BatchAnswer, first: int) -> None:
    for index, question in enumerate(batch, first):
        document = answer.documents.get(str(index))
        question.settle(Unanswered("undefined") if document is None else Answered(document, answer.revision))


def encode_batch(questions: list[tuple[str, bytes]], first: int = 0) -> bytes:
    """Return the batch's request body: the facts by package and by an id that this side assigns.

    The facts are JSON already and are joined, not parsed again.

    Args:
        questions: packages and facts.
        first: id of the first question, the others follow it. No id is used twice, so that an answer to another
            query, which a proxy or a connection mixed up, answers nothing here.
    """
    by_package: dict[str, list[bytes]] = {}
    for index, (package, facts) in enumerate(questions, first):
        by_package.setdefault(package, []).append(b'"%d":%b' % (index, facts))
    packages = (b'"%b":{%b}' % (package.encode(), b",".join(parts)) for package, parts in by_package.items())
    return b'{"input":{%b}}' % b",".join(packages)
