"""Whatever the engine answers, only a well-formed allow allows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.contracts.base import StrictModel
from controlplane.contracts.decision import Decision, DecisionRecord
from controlplane.decisions.decider import Decider, conclude
from controlplane.decisions.engine import Answer, Answered, Unanswered

FACTS: dict[str, Any] = {
    "subject": {"type": "device", "id": "dev-1"},
    "action": {"name": "inference"},
    "resource": {"type": "model", "id": "m", "properties": {}},
    "context": {
        "time": 1.0,
        "network": {"address": "127.0.0.1"},
        "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
        "holds": {"known": True, "current": {}},
    },
}
ALLOW: dict[str, Any] = {
    "allow": True,
    "reasons": [],
    "obligations": {},
    "rules": ["subject_active"],
    "ttl_seconds": 60,
}
REASON = {"code": "subject_active", "message": "The subject is not active.", "remedy": "Enrol again."}


def concluded(document: object) -> Decision:
    return conclude(Answered(document, "rev"), "inference", FACTS, 5.0)


def test_a_well_formed_allow_allows() -> None:
    decision = concluded(ALLOW)
    assert decision.allowed
    assert decision.policy_revision == "rev"


def test_a_deny_carries_its_reasons() -> None:
    decision = concluded({**ALLOW, "allow": False, "reasons": [REASON], "ttl_seconds": 0})
    assert decision.outcome == "deny"
    assert decision.reasons[0].code == "subject_active"


@pytest.mark.parametrize(
    "change",
    [
        {"allow": "true"},
        {"allow": 1},
        {"allow": None},
        {"reasons": [REASON]},
        {"reasons": None},
        {"ttl_seconds": 0},
        {"ttl_seconds": -1},
        {"ttl_seconds": 1e9},
        {"ttl_seconds": "60"},
        {"rules": []},
        {"obligations": {"unknown_duty": True}},
        {"obligations": {"max_output_tokens": -1}},
        {"surplus": 1},
    ],
)
def test_an_allow_that_is_not_well_formed_is_an_error(change: dict[str, Any]) -> None:
    assert concluded({**ALLOW, **change}).outcome == "error"


@pytest.mark.parametrize("name", sorted(ALLOW))
def test_an_allow_that_lacks_a_field_is_an_error(name: str) -> None:
    assert concluded({key: value for key, value in ALLOW.items() if key != name}).outcome == "error"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JSON)
def test_no_other_document_allows(document: object) -> None:
    assert not concluded(document).allowed


@pytest.mark.parametrize(
    "cause", ["circuit_open", "overloaded", "deadline", "unreachable", "engine_error", "undefined", "malformed"]
)
def test_no_answer_is_an_error_with_a_remedy(cause: Any) -> None:
    decision = conclude(Unanswered(cause), "inference", FACTS, 5.0)
    assert decision.outcome == "error"
    assert decision.reasons[0].code == f"policy_{cause}"
    assert decision.reasons[0].remedy


class Engine:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bytes]] = []

    async def ask(self, package: str, facts: bytes) -> Answer:
        self.asked.append((package, facts))
        return self.answer


class Recorder:
    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.records: list[bytes] = []

    async def record(
        self, decision_id: str, time: float, action: str, subject: str, outcome: str, document: bytes
    ) -> None:
        if self.broken:
            raise OSError("disk full")
        self.records.append(document)


class Observed:
    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def decided(self, package: str, decision: Decision, seconds: float) -> None:
        self.decisions.append(decision)


class Terms:
    """Masks one place, and says by which revision."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def kept(self, package: str, revision: str, facts: StrictModel, document: bytes) -> tuple[bytes, list[str]]:
        self.asked.append((package, revision))
        return document.replace(b"127.0.0.1", b"[masked]"), ["/context/network/address"]


def decider(engine: Engine, recorder: Recorder, observed: Observed, terms: Terms | None = None) -> Decider:
    ticks = iter(range(100))
    return Decider(engine, recorder, observed, terms or Terms(), clock=lambda: 5.0, timer=lambda: float(next(ticks)))


async def test_a_decision_is_recorded_with_its_facts_before_it_is_given_out() -> None:
    recorder, observed = Recorder(), Observed()
    decision = await decider(Engine(Answered(ALLOW, "rev")), recorder, observed).decide("inference", FACTS)
    record = json.loads(recorder.records[0])
    assert record["id"] == decision.id
    assert record["facts"]["subject"]["id"] == "dev-1"
    assert observed.decisions == [decision]


async def test_a_record_says_how_long_the_engine_took_and_what_was_kept_out() -> None:
    engine, recorder, terms = Engine(Answered(ALLOW, "rev")), Recorder(), Terms()
    await decider(engine, recorder, Observed(), terms).decide("inference", FACTS)
    record = DecisionRecord.model_validate_json(recorder.records[0])
    assert record.seconds == 1.0
    assert record.masked == ["/context/network/address"]
    assert record.facts["context"]["network"] == {"address": "[masked]"}  # type: ignore[index]
    assert b"127.0.0.1" in engine.asked[0][1]
    assert terms.asked == [("inference", "rev")]


async def test_what_no_policy_decided_is_masked_by_none() -> None:
    terms = Terms()
    await decider(Engine(Unanswered("deadline")), Recorder(), Observed(), terms).decide("inference", FACTS)
    assert terms.asked == [("inference", "")]


async def test_a_decision_that_cannot_be_recorded_is_not_given_out() -> None:
    observed = Observed()
    with pytest.raises(OSError):
        await decider(Engine(Answered(ALLOW, "rev")), Recorder(broken=True), observed).decide("inference", FACTS)
    assert observed.decisions == []


async def test_facts_that_do_not_fit_never_reach_the_engine() -> None:
    engine = Engine(Answered(ALLOW, "rev"))
    with pytest.raises(ValidationError):
        await decider(engine, Recorder(), Observed()).decide("inference", {**FACTS, "surplus": 1})
    assert engine.asked == []


async def test_absent_facts_are_absent_for_the_engine_and_not_null() -> None:
    engine = Engine(Answered(ALLOW, "rev"))
    await decider(engine, Recorder(), Observed()).decide("inference", FACTS)
    assert b"null" not in engine.asked[0][1]


class Labels:
    def __init__(self) -> None:
        self.labels: list[str] = []

    def decided(self, package: str, decision: Decision, seconds: float) -> None:
        self.labels.append(package)


async def test_what_a_search_asks_is_counted_apart_from_requests() -> None:
    labels = Labels()
    decides = Decider(Engine(Answered(ALLOW, "rev")), Recorder(), labels, Terms(), clock=lambda: 5.0, timer=lambda: 0.0)
    await decides.decide("inference", FACTS)
    await decides.decide("inference", {**FACTS, "context": {**FACTS["context"], "search": "dec-1"}})
    assert labels.labels == ["inference", "search"]


def test_a_decision_on_another_action_bears_its_name_and_not_the_packages() -> None:
    asked = {"subject": {"id": "Alice A."}, "action": {"name": "Open it"}, "resource": {"id": "/2/7"}}
    decision = conclude(Answered(ALLOW, "rev"), "other", asked, 5.0)
    assert (decision.action, decision.subject, decision.resource) == ("Open it", "Alice A.", "/2/7")
    failed = conclude(Unanswered("deadline"), "other", asked, 5.0)
    assert (failed.action, failed.outcome) == ("Open it", "error")


class Looks:
    """Somebody who sees decisions and has no say in them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, Decision]] = []

    def offer(self, package: str, facts: bytes, decision: Decision) -> None:
        self.seen.append((package, facts, decision))


async def test_a_shadow_sees_what_was_decided_on_unmasked_facts_until_it_is_sent_away() -> None:
    engine, shadow = Engine(Answered(ALLOW, "rev")), Looks()
    deciding = decider(engine, Recorder(), Observed())
    await deciding.decide("inference", FACTS)
    deciding.accompany(shadow)
    decision = await deciding.decide("inference", FACTS)
    deciding.accompany(None)
    await deciding.decide("inference", FACTS)
    assert shadow.seen == [("inference", engine.asked[1][1], decision)]


async def test_a_shadow_sees_no_searches_and_nothing_that_was_not_recorded() -> None:
    shadow = Looks()
    deciding = decider(Engine(Answered(ALLOW, "rev")), Recorder(), Observed())
    deciding.accompany(shadow)
    await deciding.decide("inference", {**FACTS, "context": {**FACTS["context"], "search": "subject"}})
    broken = decider(Engine(Answered(ALLOW, "rev")), Recorder(broken=True), Observed())
    broken.accompany(shadow)
    with pytest.raises(OSError):
        await broken.decide("inference", FACTS)
    assert shadow.seen == []
