"""Policy is asked what to mask once for each revision; without an answer, all that callers add is masked."""

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.contracts.facts import FACTS
from controlplane.decisions.engine import Answer, Answered, Unanswered
from controlplane.decisions.log_policy import AGAIN_SECONDS, LogPolicy

TERMS: dict[str, Any] = {
    package: {"names": ["password"], "pointers": ["/context/network/address"], "retention_days": 30}
    for package in FACTS
}
ADDED = {"mood": "good", "password": "hunter2"}
FACTS_OF_ALICE: dict[str, Any] = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "open"},
    "resource": {"type": "door", "id": "front"},
    "context": {
        "time": 1.0,
        "network": {"address": "127.0.0.1"},
        "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
    },
    "claims": {"subject": ADDED, "action": {}, "resource": {}, "context": {}},
}
BY_POLICY = ["/claims/subject/password", "/context/network/address"]
ALL_ADDED = ["/claims/subject/mood", "/claims/subject/password"]


class Engine:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0
        self.turn = asyncio.Event()
        self.turn.set()

    async def ask(self, package: str, facts: bytes) -> Answer:
        self.asked += 1
        assert package == "log"
        await self.turn.wait()
        return self.answer


class Counted:
    def __init__(self) -> None:
        self.now = 100.0
        self.counts: list[tuple[str, int]] = []
        self.causes: list[str] = []

    def clock(self) -> float:
        return self.now

    def masked(self, package: str, count: int) -> None:
        self.counts.append((package, count))

    def terms_unavailable(self, cause: str) -> None:
        self.causes.append(cause)


def policy(answer: Answer) -> tuple[LogPolicy, Engine, Counted]:
    engine, counted = Engine(answer), Counted()
    return LogPolicy(engine, counted, clock=counted.clock), engine, counted


async def masked(log: LogPolicy, revision: str = "r1") -> list[str]:
    checked = FACTS["other"].model_validate(FACTS_OF_ALICE)
    document, pointers = await log.kept("other", revision, checked, checked.model_dump_json(exclude_none=True).encode())
    assert b"hunter2" not in document
    return pointers


async def test_what_policy_says_is_masked_and_counted() -> None:
    log, _, counted = policy(Answered(TERMS, "r1"))
    assert await masked(log) == BY_POLICY
    assert counted.counts == [("other", 2)]


async def test_policy_is_asked_once_for_a_revision_however_many_decide() -> None:
    log, engine, _ = policy(Answered(TERMS, "r1"))
    engine.turn.clear()
    waiting = [asyncio.create_task(masked(log)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    engine.turn.set()
    assert await asyncio.gather(*waiting[1:]) == [BY_POLICY] * 19
    assert await masked(log) == BY_POLICY
    assert engine.asked == 1
    engine.answer = Answered({package: {"names": [], "pointers": []} for package in FACTS}, "r2")
    with pytest.raises(AssertionError, match="hunter2"):
        await masked(log, "r2")
    assert await masked(log) == BY_POLICY
    assert engine.asked == 2


async def test_where_no_policy_decided_all_that_was_added_is_masked_and_nobody_is_asked() -> None:
    log, engine, _ = policy(Answered(TERMS, "r1"))
    assert await masked(log, "") == ALL_ADDED
    assert engine.asked == 0


def broken() -> Iterator[tuple[str, Any]]:
    """Every term deleted and retyped, and answers of other forms."""
    yield from (("none", None), ("list", []), ("text", "x"), ("empty", {}), ("another package", {**TERMS, "x": TERMS}))
    for package in FACTS:
        yield f"without {package}", {name: one for name, one in TERMS.items() if name != package}
    for field in ("names", "pointers"):
        for value in (None, "password", {"password": True}, ["password", 1], [""], [None]):
            changed = copy.deepcopy(TERMS)
            changed["inference"][field] = value
            yield f"{field} is {value}", changed
        changed = copy.deepcopy(TERMS)
        del changed["inference"][field]
        yield f"no {field}", changed
    for days in ("30", True, 0, 0.5, -1, 1e9):
        changed = copy.deepcopy(TERMS)
        changed["admin"]["retention_days"] = days
        yield f"days are {days!r}", changed


@pytest.mark.parametrize(("what", "answer"), list(broken()), ids=lambda value: value if isinstance(value, str) else "")
async def test_terms_that_are_not_whole_mask_all_that_was_added(what: str, answer: Any) -> None:
    log, _, counted = policy(Answered(answer, "r1"))
    assert await masked(log) == ALL_ADDED
    assert await log.retention() == {}
    assert len(counted.causes) == 2
    assert set(counted.causes) <= {"malformed", "undefined"}


@pytest.mark.parametrize("cause", ["undefined", "deadline", "unreachable", "circuit_open", "overloaded"])
async def test_an_engine_that_does_not_answer_is_asked_again_only_after_a_while(cause: Any) -> None:
    log, engine, counted = policy(Unanswered(cause))
    for _ in range(3):
        assert await masked(log) == ALL_ADDED
    assert engine.asked == 1
    assert counted.causes == [cause]
    counted.now += AGAIN_SECONDS
    engine.answer = Answered(TERMS, "r1")
    assert await masked(log) == BY_POLICY
    assert engine.asked == 2


async def test_a_decision_of_a_revision_that_is_gone_goes_by_the_one_that_answers() -> None:
    log, engine, _ = policy(Answered(TERMS, "r2"))
    assert [await masked(log, revision) for revision in ("r1", "r2", "r1")] == [BY_POLICY] * 3
    assert engine.asked == 1


async def test_few_revisions_are_remembered() -> None:
    log, engine, _ = policy(Answered(TERMS, "r0"))
    for number in range(10):
        engine.answer = Answered(TERMS, f"r{number}")
        await masked(log, f"r{number}")
    await masked(log, "r9")
    assert engine.asked == 10
    await masked(log, "r0")
    assert engine.asked == 11


async def test_retention_is_what_policy_says_of_those_it_names() -> None:
    terms = copy.deepcopy(TERMS)
    for package in ("admin", "other"):
        del terms[package]["retention_days"]
    log, _, _ = policy(Answered(terms, "r1"))
    assert await log.retention() == dict.fromkeys(FACTS.keys() - {"admin", "other"}, 30.0)
