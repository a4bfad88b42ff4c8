"""Policy is asked how behaviour is judged, and while it does not say, nobody judges by what it said before."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.contracts.behaviour import CHANNELS, BehaviourTerms
from controlplane.decisions.behaviour_terms import AGAIN_SECONDS, FRESH_SECONDS, BehaviourPolicy
from controlplane.decisions.engine import Answer, Answered, Unanswered
from tests.controlplane.behaving import TERMS


class Engine:
    """Answers as it is told, and takes its time when the turn is not its own."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.turn = asyncio.Event()
        self.turn.set()

    async def ask(self, package: str, facts: bytes) -> Answer:
        self.asked.append((package, json.loads(facts)))
        await self.turn.wait()
        return self.answer


class Counted:
    """A clock that the test moves, and the failures that were counted."""

    def __init__(self) -> None:
        self.now = 100.0
        self.causes: list[str] = []

    def clock(self) -> float:
        return self.now

    def behaviour_terms_unavailable(self, cause: str) -> None:
        self.causes.append(cause)


def policy(answer: Answer) -> tuple[BehaviourPolicy, Engine, Counted]:
    engine, counted = Engine(answer), Counted()
    return BehaviourPolicy(engine, counted, clock=counted.clock), engine, counted


async def test_terms_are_asked_for_all_channels_and_kept_for_a_while() -> None:
    terms, engine, counted = policy(Answered(TERMS, "r1"))
    first = await terms.in_force()
    assert first is not None
    assert (first.revision, first.terms.horizon) == ("r1", TERMS["horizon"])
    counted.now += FRESH_SECONDS - 0.01
    assert await terms.in_force() is first
    assert engine.asked == [("behaviour", {"channels": list(CHANNELS)})]


async def test_the_terms_of_new_policies_are_taken_over_within_seconds() -> None:
    terms, engine, counted = policy(Answered(TERMS, "r1"))
    await terms.in_force()
    engine.answer = Answered({**TERMS, "horizon": 77}, "r2")
    counted.now += FRESH_SECONDS
    found = await terms.in_force()
    assert found is not None
    assert (found.revision, found.terms.horizon) == ("r2", 77)


async def test_terms_of_the_same_revision_are_read_once() -> None:
    terms, engine, counted = policy(Answered(TERMS, "r1"))
    first = await terms.in_force()
    counted.now += FRESH_SECONDS
    assert await terms.in_force() is first
    assert len(engine.asked) == 2


async def test_an_answer_is_as_old_as_its_question() -> None:
    terms, engine, counted = policy(Answered(TERMS, "r1"))
    engine.turn.clear()
    waiting = asyncio.create_task(terms.in_force())
    await asyncio.sleep(0)
    counted.now += FRESH_SECONDS
    engine.turn.set()
    await waiting
    await terms.in_force()
    assert len(engine.asked) == 2


async def test_however_many_want_to_know_policy_is_asked_once_and_nobody_takes_it_from_the_others() -> None:
    terms, engine, _ = policy(Answered(TERMS, "r1"))
    engine.turn.clear()
    waiting = [asyncio.create_task(terms.in_force()) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    engine.turn.set()
    found = await asyncio.gather(*waiting[1:])
    assert len({id(one) for one in found}) == 1
    assert found[0] is not None
    assert len(engine.asked) == 1


@pytest.mark.parametrize("cause", ["undefined", "deadline", "unreachable", "circuit_open", "overloaded"])
async def test_while_policy_does_not_answer_nothing_is_judged_whatever_it_said_before(cause: Any) -> None:
    terms, engine, counted = policy(Answered(TERMS, "r1"))
    await terms.in_force()
    engine.answer = Unanswered(cause)
    counted.now += FRESH_SECONDS
    assert [await terms.in_force() for _ in range(3)] == [None] * 3
    assert counted.causes == [cause]
    assert len(engine.asked) == 2
    engine.answer = Answered(TERMS, "r1")
    counted.now += AGAIN_SECONDS
    assert await terms.in_force() is not None


def broken() -> Iterator[tuple[str, Any]]:
    yield from (("none", None), ("list", []), ("text", "x"), ("empty", {}), ("more", {**TERMS, "extra": 1}))
    for name, value in TERMS.items():
        if BehaviourTerms.model_fields[name].is_required():
            yield f"without {name}", {key: one for key, one in TERMS.items() if key != name}
        for wrong in (None, True, "1", -1):
            if wrong != value:
                yield f"{name} is {wrong!r}", {**TERMS, name: wrong}
    yield "a weight is missing", {**TERMS, "weights": {"updates": 1.0}}


@pytest.mark.parametrize(
    ("what", "document"), list(broken()), ids=lambda value: value if isinstance(value, str) else ""
)
async def test_terms_that_are_not_whole_are_none(what: str, document: Any) -> None:
    terms, _, counted = policy(Answered(document, "r1"))
    assert await terms.in_force() is None
    assert counted.causes == ["malformed"]


@pytest.mark.parametrize(
    "calibration",
    [
        {},
        {"any": []},
        {"any": [0.0] * (TERMS["comparable"] - 1)},
        {"skew0": [0.0] * 1000},
        {**TERMS["calibration"], "homes.skew1": []},
        {**TERMS["calibration"], "access": [0.0]},
    ],
    ids=["none", "empty", "few", "no any", "empty class", "few in a channel"],
)
async def test_terms_with_gaps_in_their_calibration_judge_nobody(calibration: dict[str, list[float]]) -> None:
    terms, _, counted = policy(Answered({**TERMS, "calibration": calibration}, "r1"))
    assert await terms.in_force() is None
    assert counted.causes == ["malformed"]
