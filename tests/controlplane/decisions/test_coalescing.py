"""The coalescer answers every question exactly once, in few calls, whatever the engine does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from controlplane.decisions.breaker import CircuitBreaker
from controlplane.decisions.coalescing import Coalescer, CoalescingLimits, encode_batch
from controlplane.decisions.engine import Answered, BatchAnswer, BatchFault, Unanswered


class Observed:
    """Remembers what the coalescer reports."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.circuit_open = False
        self.faults: list[BaseException] = []

    def fault(self, error: BaseException) -> None:
        self.faults.append(error)

    def call(self, result: str, seconds: float, size: int) -> None:
        assert seconds >= 0
        self.calls.append((result, size))

    def state(self, queued: int, *, circuit_open: bool) -> None:
        assert queued >= 0
        self.circuit_open = circuit_open


class Engine:
    """Stands for OPA's transport where a test must choose the fault; real OPA is used in test_opa.py."""

    def __init__(self, behave: Callable[[dict[str, dict[str, Any]]], BatchAnswer] | None = None) -> None:
        self.behave = behave or self.echo
        self.sent: list[dict[str, dict[str, Any]]] = []
        self.gate: asyncio.Event | None = None

    @staticmethod
    def echo(questions: dict[str, dict[str, Any]]) -> BatchAnswer:
        return BatchAnswer({id_: facts for package in questions.values() for id_, facts in package.items()}, "rev")

    async def send(self, body: bytes, within: float) -> BatchAnswer:
        questions = orjson.loads(body)["input"]
        self.sent.append(questions)
        if self.gate is not None:
            try:
                await asyncio.wait_for(self.gate.wait(), within)
            except TimeoutError:
                raise BatchFault("deadline", whole=True) from None
        return self.behave(questions)


def coalescer(engine: Engine, **limits: Any) -> tuple[Coalescer, Observed]:
    observed = Observed()
    return Coalescer(engine, observed, clock=time.monotonic, limits=CoalescingLimits(**limits)), observed


async def ask_many(asked: Coalescer, count: int) -> list[Any]:
    return await asyncio.gather(*(asked.ask("inference", b'{"n":%d}' % n) for n in range(count)))


async def test_every_question_gets_the_answer_to_its_own_facts() -> None:
    asked, _ = coalescer(Engine())
    answers = await ask_many(asked, 200)
    assert [answer.document["n"] for answer in answers] == list(range(200))
    assert {answer.revision for answer in answers} == {"rev"}


async def test_an_answer_to_an_earlier_query_answers_nothing() -> None:
    given: list[BatchAnswer] = []

    def late(questions: dict[str, dict[str, Any]]) -> BatchAnswer:
        given.append(Engine.echo(questions))
        return given[0]

    asked, _ = coalescer(Engine(late))
    assert [type(answer) for answer in await ask_many(asked, 2)] == [Answered, Answered]
    assert await ask_many(asked, 2) == [Unanswered("undefined")] * 2


async def test_questions_that_arrive_together_travel_together() -> None:
    asked, observed = coalescer(Engine())
    await ask_many(asked, 64)
    assert observed.calls == [("ok", 64)]


async def test_a_call_never_carries_more_than_its_limit() -> None:
    asked, observed = coalescer(Engine(), batch=10)
    await ask_many(asked, 35)
    assert sorted(size for _, size in observed.calls) == [5, 10, 10, 10]


async def test_no_more_calls_are_in_flight_than_allowed() -> None:
    engine = Engine()
    engine.gate = asyncio.Event()
    asked, _ = coalescer(engine, batch=1, in_flight=2)
    task = asyncio.create_task(ask_many(asked, 5))
    await asyncio.sleep(0.02)
    assert len(engine.sent) == 2
    engine.gate.set()
    assert len(await task) == 5


async def test_a_full_queue_refuses_at_once() -> None:
    engine = Engine()
    engine.gate = asyncio.Event()
    asked, _ = coalescer(engine, batch=1, in_flight=1, queue=3, deadline_seconds=5.0)
    task = asyncio.create_task(ask_many(asked, 3))
    await asyncio.sleep(0.01)
    more = asyncio.create_task(ask_many(asked, 3))
    await asyncio.sleep(0.01)
    assert await asked.ask("inference", b"{}") == Unanswered("overloaded")
    engine.gate.set()
    await asyncio.gather(task, more)


async def test_an_engine_that_hangs_costs_no_more_than_the_deadline() -> None:
    engine = Engine()
    engine.gate = asyncio.Event()
    asked, _ = coalescer(engine, batch=1, in_flight=1, deadline_seconds=0.1)
    started = time.monotonic()
    answers = await ask_many(asked, 4)
    assert time.monotonic() - started < 0.5
    assert set(answers) == {Unanswered("deadline")}


async def test_one_poisonous_question_spoils_only_itself() -> None:
    def behave(questions: dict[str, dict[str, Any]]) -> BatchAnswer:
        if any(facts["n"] == 7 for facts in questions["inference"].values()):
            raise BatchFault("engine_error", whole=False)
        return Engine.echo(questions)

    asked, _ = coalescer(Engine(behave))
    answers = await ask_many(asked, 20)
    assert answers[7] == Unanswered("engine_error")
    assert all(isinstance(answer, Answered) for index, answer in enumerate(answers) if index != 7)


async def test_a_document_that_is_not_defined_is_no_answer() -> None:
    asked, _ = coalescer(Engine(lambda _: BatchAnswer({}, "rev")))
    assert await asked.ask("inference", b"{}") == Unanswered("undefined")


async def test_a_null_document_is_no_answer() -> None:
    asked, _ = coalescer(Engine(lambda _: BatchAnswer({"0": None}, "rev")))
    assert await asked.ask("inference", b"{}") == Unanswered("undefined")


async def test_a_failing_engine_opens_the_circuit_and_a_recovered_one_closes_it() -> None:
    failing = True

    def behave(questions: dict[str, dict[str, Any]]) -> BatchAnswer:
        if failing:
            raise BatchFault("unreachable", whole=True)
        return Engine.echo(questions)

    engine, observed = Engine(behave), Observed()
    breaker = CircuitBreaker(time.monotonic, threshold=3, open_seconds=0.05)
    asked = Coalescer(engine, observed, clock=time.monotonic, breaker=breaker)
    for _ in range(3):
        assert await asked.ask("inference", b"{}") == Unanswered("unreachable")
    calls = len(engine.sent)
    assert await asked.ask("inference", b"{}") == Unanswered("circuit_open")
    assert len(engine.sent) == calls
    failing = False
    await asyncio.sleep(0.06)
    assert isinstance(await asked.ask("inference", b"{}"), Answered)
    assert isinstance(await asked.ask("inference", b"{}"), Answered)


async def test_an_unexpected_fault_of_the_transport_still_answers() -> None:
    def behave(_: dict[str, dict[str, Any]]) -> BatchAnswer:
        raise RuntimeError("not a batch fault")

    asked, observed = coalescer(Engine(behave))
    assert await asked.ask("inference", b"{}") == Unanswered("engine_error")
    await asyncio.sleep(0)
    assert [type(error) for error in observed.faults] == [RuntimeError]


async def test_closing_answers_what_still_waits() -> None:
    engine = Engine()
    engine.gate = asyncio.Event()
    asked, _ = coalescer(engine, batch=1, in_flight=1, deadline_seconds=0.2)
    task = asyncio.create_task(ask_many(asked, 3))
    await asyncio.sleep(0.01)
    await asked.close()
    assert all(isinstance(answer, Unanswered) for answer in await task)


def test_a_batch_is_one_object_keyed_by_package_and_id() -> None:
    body = encode_batch([("inference", b'{"a":1}'), ("model_access", b"{}"), ("inference", b'{"a":2}')])
    assert orjson.loads(body) == {"input": {"inference": {"0": {"a": 1}, "2": {"a": 2}}, "model_access": {"1": {}}}}


@pytest.mark.parametrize("threshold", [1, 3])
def test_the_circuit_opens_only_after_faults_in_a_row(threshold: int) -> None:
    now = 0.0
    breaker = CircuitBreaker(lambda: now, threshold=threshold, open_seconds=1.0)
    for _ in range(threshold - 1):
        breaker.failed()
    assert breaker.admits()
    breaker.succeeded()
    for _ in range(threshold):
        breaker.failed()
    assert not breaker.admits()
    now = 1.5
    assert breaker.admits()
    assert not breaker.admits()
