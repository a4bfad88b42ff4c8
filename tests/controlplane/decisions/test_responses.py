"""What policy is told of a subject's behaviour, and what its answer makes of it."""

from dataclasses import replace
from typing import Any

import pytest

from controlplane.behavior import Judge, Known, betting
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms, Wealth
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.facts import FACTS
from controlplane.contracts.identity import Attestation, Device, PublicKey, Trust
from controlplane.contracts.observed import Kept
from controlplane.contracts.trusthistory import TrustHistory
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.responses import Before, Case, Response, respond, state_after
from tests.controlplane.behaving import NOW, TERMS, attribution, record

NEWCOMER = Trust(score=0.6, observations=0)
IN_FORCE = InForce("r1", BehaviourTerms.model_validate(TERMS), Judge(BehaviourTerms.model_validate(TERMS)))
LATER = NOW + 500.0
KEY = "k" * 43
DEVICE = Device(
    id="dev-a",
    key=PublicKey(kty="EC", crv="P-256", x=KEY, y=KEY),
    key_thumbprint=KEY,
    roles=["trainer"],
    segment="homes",
    status="active",
    attestation=Attestation(),
    trust=Trust(score=0.5, observations=4),
    enrolled_at=NOW,
)
STATES = ("trusted", "watched", "recovering", "quarantined")


class Decider:
    """Answers as it is told; its facts are held to the contract."""

    def __init__(self, outcome: str = "allow", **obligations: Any) -> None:
        self.outcome, self.obligations = outcome, obligations
        self.facts: list[dict[str, Any]] = []

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        assert package == "response"
        self.facts.append(FACTS[package].model_validate(facts).model_dump(exclude_none=True))
        return Decision(
            id="dec-1",
            time=LATER,
            action=package,
            subject=facts["subject"]["id"],
            resource=facts["resource"]["id"],
            outcome=self.outcome,  # type: ignore[arg-type]
            reasons=[],
            obligations=Obligations(**self.obligations),
            rules=["state_known"],
            ttl_seconds=30.0,
            policy_revision="r1",
        )


def kept(known: BehaviourRecord | None, status: str = "active", **changes: Any) -> Kept:
    stated: dict[str, Any] = {"trust": DEVICE.trust, "e_value": 7.0, "version": 3, **changes}
    return Kept(status=status, record=known, **stated)  # type: ignore[arg-type]


def case(before: Kept, score: float | None = None, *, contributed: dict[str, int] | None = None) -> Case:
    """Something to respond to: an update that deviates so much, or time alone."""
    judged = None
    if score is not None:
        known = Known(before.record, DEVICE.segment)
        judged = IN_FORCE.judge.observation(
            "access", DEVICE.id, score, "homes", [], known, attribution() if score else None, LATER
        )
    return Case(
        in_force=IN_FORCE,
        newcomer=NEWCOMER,
        before=Before(DEVICE, before, contributed or {}),
        judged=judged,
        channel=None if score is None else "updates",
        round_id="" if score is None else "r1",
        now=LATER,
    )


async def answered(made: Case, outcome: str = "allow", **obligations: Any) -> tuple[Response, dict[str, Any]]:
    decider = Decider(outcome, **obligations)
    response = await respond(decider, made)
    return response, decider.facts[0]


async def test_policy_is_told_what_was_judged_and_what_was_known() -> None:
    made = case(kept(record(state="watched", since=NOW)), 50.0, contributed={"m1": 3, "m2": 2})
    _, facts = await answered(made, state="watched")
    told = facts["context"]["behaviour"]
    assert made.judged is not None
    assert facts["subject"]["properties"]["trust"] == {
        "score": made.judged.trust.score,
        "observations": 4 + made.judged.trust.observations,
    }
    assert facts["resource"] == {"type": "behaviour", "id": "dev-a"}
    assert told == {
        "state": "watched",
        "state_age_seconds": LATER - NOW,
        "e_value": made.judged.e_value,
        "e_values": dict(made.judged.e_values),
        "comparable": made.judged.comparable,
        **({} if made.judged.p_value is None else {"p_value": made.judged.p_value}),
        "channel": "updates",
        "attack": "sign_flip",
        "confidence": 0.9,
        "contributed": 5,
        "conforming": {"updates": 0, "access": 0},
        "convicted": {},
    }


async def test_of_a_newcomer_policy_is_told_that_it_is_watched_since_now() -> None:
    _, facts = await answered(case(kept(None, version=0), 0.0), state="watched")
    told = facts["context"]["behaviour"]
    assert (told["state"], told["state_age_seconds"], told["contributed"]) == ("watched", 0.0, 0)
    assert "attack" not in told


async def test_how_a_subject_stands_by_now_counts_and_not_how_it_was_looked_up() -> None:
    _, facts = await answered(case(kept(record(), "quarantined"), 0.0), state="watched")
    assert facts["subject"]["properties"]["status"] == "quarantined"


@pytest.mark.parametrize("was", STATES)
@pytest.mark.parametrize("wanted", STATES)
async def test_a_subject_stands_where_policy_says(was: str, wanted: str) -> None:
    status = "quarantined" if was == "quarantined" else "active"
    response, _ = await answered(case(kept(record(state=was, since=NOW), status), 0.0), state=wanted)
    assert (response.was, response.state, response.observed.record.state) == (was, wanted, wanted)
    assert response.observed.record.since == (NOW if was == wanted else LATER)
    assert response.observed.version == 3
    expected = None if (was == "quarantined") == (wanted == "quarantined") else response.device.status
    assert response.observed.status == expected
    assert response.device.status == ("quarantined" if wanted == "quarantined" else "active")
    assert response.fact is not None
    assert (response.fact.state, response.fact.state_age_seconds) == (wanted, LATER - NOW if was == wanted else 0.0)


@pytest.mark.parametrize("outcome", ["deny", "error", "allow"])
@pytest.mark.parametrize(("was", "stays"), [(one, "watched" if one == "trusted" else one) for one in STATES])
async def test_what_is_not_decided_leaves_a_subject_where_it_stood_and_admits_nothing(
    outcome: str, was: str, stays: str
) -> None:
    status = "quarantined" if was == "quarantined" else "active"
    stated = {} if outcome == "allow" else {"state": "trusted"}
    response, _ = await answered(case(kept(record(state=was), status), 0.0), outcome, **stated)
    assert response.state == response.observed.record.state == stays
    assert response.fact is None
    assert response.observed.status is None
    assert response.orders == {}


@pytest.mark.parametrize("outcome", ["allow", "deny"])
async def test_whoever_is_set_apart_is_so_even_where_a_layer_objects(outcome: str) -> None:
    made = case(kept(record(state="watched")), 50.0, contributed={"m1": 1, "m0": 4})
    response, _ = await answered(made, outcome, state="quarantined", rollback_rounds=20)
    assert (response.state, response.observed.status, response.device.status) == ("quarantined",) * 3
    assert response.orders == {"m0": 20, "m1": 20}
    assert (response.fact is None) == (outcome == "deny")


async def test_a_rollback_is_ordered_once_and_only_of_what_was_contributed() -> None:
    lasting = case(kept(record(state="quarantined"), "quarantined"), 50.0, contributed={"m1": 1})
    assert (await answered(lasting, state="quarantined", rollback_rounds=20))[0].orders == {}
    nothing = case(kept(record()), 50.0)
    assert (await answered(nothing, state="quarantined", rollback_rounds=20))[0].orders == {}
    unwanted = case(kept(record()), 50.0, contributed={"m1": 1})
    assert (await answered(unwanted, state="quarantined"))[0].orders == {}


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
@pytest.mark.parametrize(
    ("was", "stays"), [("trusted", "watched"), ("watched", "watched"), ("recovering", "recovering")]
)
async def test_whom_a_person_set_apart_policy_neither_sets_apart_nor_lets_back(
    status: str, was: str, stays: str
) -> None:
    before = kept(record(state=was), status)
    for wanted in STATES:
        response, _ = await answered(case(before, 50.0), state=wanted)
        assert response.observed.status is None
        assert response.device.status == status
        if wanted == "quarantined":
            assert response.state == stays


async def test_whom_policy_set_apart_and_the_device_is_not_is_set_apart_again() -> None:
    response, _ = await answered(case(kept(record(state="quarantined"), "active"), 0.0), state="quarantined")
    assert response.observed.status == "quarantined"


async def test_one_that_comes_out_of_quarantine_begins_as_a_newcomer_on_probation() -> None:
    apart = record(state="quarantined", since=NOW, wealth={"updates": Wealth(active=900.0)}, deviating=9.0)
    response, facts = await answered(case(kept(apart, "quarantined", e_value=540.0)), state="recovering")
    assert facts["context"]["behaviour"]["e_value"] > 500.0
    assert "channel" not in facts["context"]["behaviour"]
    renewed = response.observed.record
    assert (renewed.state, renewed.deviating) == ("recovering", 0.0)
    assert set(renewed.wealth) == {"updates"}
    assert betting.value(renewed.wealth["updates"]) == 1.0
    assert renewed.conforming == TERMS["newcomer"]
    assert (response.observed.trust, response.observed.e_value) == (NEWCOMER, 1.0)
    assert response.observed.status == "active"
    assert response.observed.verdict is None
    assert response.observed.score is None


async def test_what_convicted_a_subject_is_known_until_its_probation_has_ended() -> None:
    wealth = {"updates": Wealth(active=900.0, conforming=7), "access": Wealth(conforming=3, convicted=70.0)}
    apart, _ = await answered(case(kept(record(state="recovering", wealth=wealth)), 0.0), state="quarantined")
    found = apart.observed.record
    assert {name: (one.conforming, one.convicted) for name, one in found.wealth.items()} == {
        "updates": (0, 901.0),
        "access": (0, 70.0),
    }
    # Whatever becomes of the wealth meanwhile.
    faded = {name: one.model_copy(update={"active": 0.0}) for name, one in found.wealth.items()}
    before = kept(found.model_copy(update={"wealth": faded}), "quarantined")
    back, facts = await answered(case(before), state="recovering")
    assert facts["context"]["behaviour"]["convicted"] == {"updates": 901.0, "access": 70.0}
    stays, facts = await answered(case(kept(back.observed.record), 0.0), state="recovering")
    assert facts["context"]["behaviour"]["convicted"] == {"updates": 901.0, "access": 70.0}
    released, _ = await answered(case(kept(stays.observed.record), 0.0), state="watched")
    assert {one.convicted for one in released.observed.record.wealth.values()} == {0.0}


async def test_time_alone_says_nothing_of_whom_nobody_observed() -> None:
    with pytest.raises(ValueError, match="time alone"):
        await answered(case(kept(None)), state="watched")


async def test_what_is_remarkable_leaves_a_verdict_and_what_is_not_none() -> None:
    plain, _ = await answered(case(kept(record(state="watched")), 0.0), state="watched")
    assert plain.observed.verdict is None
    moved, _ = await answered(case(kept(record(state="watched")), 0.0), state="trusted")
    assert moved.observed.verdict is not None
    assert (moved.observed.verdict.was, moved.observed.verdict.state) == ("watched", "trusted")
    made = case(kept(record(state="watched")), 50.0)
    odd, _ = await answered(made, state="watched")
    said = odd.observed.verdict
    assert said is not None
    assert made.judged is not None
    assert (said.subject, said.time, said.channel, said.round_id) == ("dev-a", LATER, "updates", "r1")
    assert (said.decision_id, said.p_value, said.e_value) == ("dec-1", made.judged.p_value, made.judged.e_value)
    assert said.attribution == attribution()


async def test_a_score_is_kept_with_its_class() -> None:
    made = case(kept(record()), 0.75)
    response, _ = await answered(made, state="watched")
    score = response.observed.score
    assert score is not None
    assert (score.channel, score.peers, score.round_id, score.value, score.time) == (
        "updates",
        "homes",
        "r1",
        0.75,
        LATER,
    )


@pytest.mark.parametrize("was", STATES)
@pytest.mark.parametrize("outcome", ["deny", "error"])
async def test_no_refusal_lets_a_subject_stand_better(was: str, outcome: str) -> None:
    """Whatever it says beside: only that it is set apart is believed."""
    before = Before(DEVICE, kept(record(state=was)), {})
    for wanted in STATES:
        decision = await Decider(outcome, state=wanted).decide("response", _facts())
        stays = "watched" if was == "trusted" else was
        assert state_after(decision, before) == ("quarantined" if wanted == "quarantined" else stays)


_COUNTS: dict[str, Any] = {"e_values": {}, "conforming": {}, "convicted": {}}


def _facts() -> dict[str, Any]:
    return {
        "subject": {"type": "device", "id": "dev-a"},
        "action": {"name": "respond"},
        "resource": {"type": "behaviour", "id": "dev-a"},
        "context": {
            "time": NOW,
            "behaviour": {"state": "watched", "state_age_seconds": 0.0, "e_value": 1.0, **_COUNTS},
        },
    }


async def test_policy_is_told_how_trust_moved_with_this_observation() -> None:
    history = TrustHistory.of(0.9, NOW).after(DEVICE.trust.score, NOW + 1)
    answers = Decider(state="watched")
    asked = case(kept(record(conforming=0.0, deviating=9.0)), 9.0)
    told = replace(asked, before=replace(asked.before, device=DEVICE.model_copy(update={"trust_history": history})))
    found = (await respond(answers, told)).device.trust_history
    trust = answers.facts[0]["subject"]["properties"]["trust"]
    assert found is not None
    assert found.score == trust["score"]
    assert trust["history"]["known_seconds"] == LATER - NOW
    assert trust["history"]["lowest"] == min(trust["score"], DEVICE.trust.score)


async def test_of_trust_that_somebody_else_changed_it_is_not_told_how_it_moved() -> None:
    answers, asked = Decider(state="watched"), case(kept(record()), 9.0)
    device = DEVICE.model_copy(update={"trust_history": TrustHistory.of(0.9, NOW)})
    response = await respond(answers, replace(asked, before=replace(asked.before, device=device)))
    assert response.device.trust_history is None
    assert "history" not in answers.facts[0]["subject"]["properties"]["trust"]
