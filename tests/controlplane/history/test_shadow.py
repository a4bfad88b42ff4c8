"""A candidate beside the live policy: what it is offered, what is counted, and that nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest

from controlplane.contracts.decision import Decision
from controlplane.contracts.shadow import SAMPLES, ShadowCounts
from controlplane.decisions.engine import Answer, Answered, Unanswered
from controlplane.history.engine import deciding
from controlplane.history.records import Recorded
from controlplane.history.shadow import BATCH, Beside
from controlplane.sidecar import OpaBinary
from tests.policies.support import POLICIES

ALLOW: dict[str, Any] = {"allow": True, "reasons": [], "obligations": {}, "rules": ["a"], "ttl_seconds": 60}
DENY: dict[str, Any] = {
    **ALLOW,
    "allow": False,
    "reasons": [{"code": "trust_sufficient", "message": "m", "remedy": "r"}],
    "ttl_seconds": 0,
}
FACTS = orjson.dumps(
    {
        "subject": {"type": "device", "id": "dev-1", "properties": {"segment": "homes"}},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": "m"},
        "context": {},
    }
)


class Says:
    """An engine that answers every question alike, and remembers how many came at once."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self.answer = answer
        self.asked = 0
        self.under_way = 0
        self.most = 0

    async def ask(self, package: str, facts: bytes) -> Answer:
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.answer()


def answers(document: Any) -> Says:
    return Says(lambda: Answered(document, "rev"))


def live(outcome: Any = "allow", number: int = 0) -> Decision:
    decided = ALLOW if outcome == "allow" else DENY
    return Decision.model_validate_json(
        orjson.dumps(
            {
                **{name: decided[name] for name in ("reasons", "obligations", "rules", "ttl_seconds")},
                "id": f"dec-{number}",
                "time": 1.0,
                "action": "inference",
                "subject": "dev-1",
                "resource": "m",
                "outcome": outcome,
                "policy_revision": "live",
            }
        )
    )


@asynccontextmanager
async def at_work(beside: Beside) -> AsyncIterator[Beside]:
    task = asyncio.create_task(beside.work())
    try:
        yield beside
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def counted(beside: Beside, number: int) -> ShadowCounts:
    """What was found once so many decisions are settled, one way or another."""
    agreed, failed, dropped, changes, groups = 0, 0, 0, dict[Any, int](), list[Any]()
    async with asyncio.timeout(20):
        while agreed + failed + dropped + sum(changes.values()) < number:
            found = beside.take()
            agreed, failed, dropped = agreed + found.agreed, failed + found.failed, dropped + found.dropped
            for change, count in found.changes.items():
                changes[change] = changes.get(change, 0) + count
            groups += found.groups
            await asyncio.sleep(0.01)
    return ShadowCounts(agreed, changes, failed, dropped, groups)


async def settled(engine: Says, *decisions: Decision) -> ShadowCounts:
    async with at_work(Beside(engine)) as beside:
        for decision in decisions:
            beside.offer("inference", FACTS, decision)
        return await counted(beside, len(decisions))


async def test_agreement_is_counted_and_listed_nowhere() -> None:
    assert await settled(answers(ALLOW), live()) == ShadowCounts(agreed=1, groups=[])


async def test_a_disagreement_is_counted_once_and_names_the_live_decision() -> None:
    found = await settled(answers(DENY), *[live(number=number) for number in range(SAMPLES + 3)])
    assert (found.agreed, found.changes) == (0, {"newly_denied": SAMPLES + 3})
    assert {(group.reason, group.segment) for group in found.groups} == {("trust_sufficient", "homes")}
    assert [sample for group in found.groups for sample in group.samples][:2] == ["dec-0", "dec-1"]
    assert all(len(group.samples) <= SAMPLES for group in found.groups)


async def test_what_the_candidate_would_allow_is_listed_by_what_was_missing() -> None:
    found = await settled(answers(ALLOW), live("deny"))
    assert found.changes == {"newly_allowed": 1}
    assert found.groups[0].reason == "trust_sufficient"


@pytest.mark.parametrize(
    "rubbish",
    [None, 7, "allow", [], {}, {"allow": True}, {**ALLOW, "allow": "true"}, {**ALLOW, "rules": []}, [[[[]]]]],
)
async def test_rubbish_is_a_failure_and_no_disagreement(rubbish: Any) -> None:
    found = await settled(answers(rubbish), live())
    assert (found.agreed, found.changes, found.failed) == (0, {}, 1)
    assert [(group.change, group.reason) for group in found.groups] == [("failed", "policy_malformed")]


async def test_a_candidate_that_is_gone_fails_by_name() -> None:
    found = await settled(Says(lambda: Unanswered("unreachable")), live(), live("deny"))
    assert (found.agreed, found.failed, found.changes) == (0, 2, {})
    assert {group.reason for group in found.groups} == {"policy_unreachable"}


async def test_what_no_policy_decided_is_not_asked() -> None:
    engine = answers(ALLOW)
    error = live().model_copy(update={"outcome": "error"})
    assert await settled(engine, live()) == ShadowCounts(agreed=1, groups=[])
    async with at_work(Beside(engine)) as beside:
        beside.offer("inference", FACTS, error)
        beside.offer("inference", FACTS, live())
        assert (await counted(beside, 1)).agreed == 1
    assert engine.asked == 2


async def test_what_does_not_fit_is_dropped_at_once_and_counted() -> None:
    engine = answers(ALLOW)
    beside = Beside(engine, capacity=10)
    for number in range(25):
        beside.offer("inference", FACTS, live(number=number))
    async with at_work(beside):
        found = await counted(beside, 25)
    assert (found.agreed, found.dropped, engine.asked) == (10, 15, 10)


async def test_the_candidate_is_asked_in_batches_one_at_a_time() -> None:
    engine = answers(ALLOW)
    found = await settled(engine, *[live(number=number) for number in range(3 * BATCH)])
    assert found.agreed == 3 * BATCH
    assert 1 < engine.most <= BATCH


async def test_a_fault_that_nobody_foresaw_is_counted_and_the_next_decision_is_compared() -> None:
    async with at_work(Beside(answers(ALLOW))) as beside:
        beside.offer("inference", b"no JSON", live())
        assert (await counted(beside, 1)).dropped == 1
        beside.offer("inference", FACTS, live())
        assert (await counted(beside, 1)).agreed == 1


async def test_what_is_left_at_the_end_is_counted_as_dropped() -> None:
    hang = asyncio.Event()

    class Hangs:
        async def ask(self, package: str, facts: bytes) -> Answer:
            await hang.wait()
            return Unanswered("deadline")

    beside = Beside(Hangs())
    async with at_work(beside):
        for _ in range(BATCH + 5):
            beside.offer("inference", FACTS, live())
        await asyncio.sleep(0.05)
    beside.end()
    assert beside.take() == ShadowCounts(dropped=BATCH + 5, groups=[])


async def test_the_live_policy_as_a_candidate_agrees_on_every_example(
    opa: OpaBinary, records: dict[str, Recorded]
) -> None:
    decided = {name: one for name, one in records.items() if one.document["outcome"] != "error"}
    async with deciding(opa, POLICIES) as policies, at_work(Beside(policies.engine)) as beside:
        for one in decided.values():
            known = {name: value for name, value in one.document.items() if name in Decision.model_fields}
            decision = Decision.model_validate_json(orjson.dumps(known))
            beside.offer(one.package, orjson.dumps(one.facts), decision)
        assert await counted(beside, len(decided)) == ShadowCounts(agreed=len(decided), groups=[])
