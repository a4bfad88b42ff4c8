"""One response to behaviour: what policy is told of a subject, and what its answer makes of it. It keeps nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from controlplane.behavior import Judged, betting
from controlplane.contracts.behaviour import BehaviourFact, BehaviourRecord, BehaviourState, Channel, Verdict, Wealth
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device, Trust
from controlplane.contracts.observed import Kept, Observed, Score
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.gathering import subject_facts

PACKAGE = "response"

ASKED_EVERY = 50
"""Of a subject's unremarkable observations in other channels than updates, so many are kept without a decision before
one is decided on, for what trust has become; they are made by the minute, and nothing else could come of them."""

_MOST_OBSERVATIONS = 1_000_000_000


class Decides(Protocol):
    """Decides; `decisions.decider` does."""

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        """Return the recorded decision of a package."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What was known of a subject.

    Attributes:
        device: as it was looked up.
        kept: of its behaviour, and how it stands by now.
        contributed: to how many rounds, by model.
    """

    device: Device
    kept: Kept
    contributed: Mapping[str, int]

    @property
    def state(self) -> BehaviourState:
        """Where it stood."""
        return self.kept.record.state if self.kept.record else "watched"

    @property
    def is_held(self) -> bool:
        """Whether a person set it apart, or it is revoked: then no policy lets it back."""
        return self.kept.status != "active" and self.state != "quarantined"


@dataclass(frozen=True, slots=True)
class Case:
    """What is responded to.

    Attributes:
        in_force: terms by which was judged.
        newcomer: trust of a subject of which nothing is known.
        before: what was known of the subject.
        judged: what was judged of it; none where time alone has passed, for a subject that has a record.
        channel: where something showed; none where time alone has passed.
        round_id: of the update; empty elsewhere.
        now: Unix seconds.
    """

    in_force: InForce
    newcomer: Trust
    before: Before
    judged: Judged | None
    channel: Channel | None
    round_id: str
    now: float


@dataclass(frozen=True, slots=True)
class Response:
    """What policy made of a subject's behaviour.

    Attributes:
        device: as it stands from now on.
        was: where it stood.
        state: where it stands from now on.
        decision: of the response policy; one that denies or could not be made leaves the subject where it stood, no
            better than watched. None where nothing was to be decided.
        channel: where something showed; none where time alone has passed.
        judged: what was decided on; none where time alone has passed.
        fact: what later decisions on the same observation read; none where nothing could be decided.
        observed: what is kept of it.
        orders: what is to be undone: so many of the latest rounds, by model that was contributed to before.
        rollback_rounds: of a model that is contributed to with this response, so many are to be undone; none for none.
    """

    device: Device
    was: BehaviourState
    state: BehaviourState
    decision: Decision | None
    channel: Channel | None
    judged: Judged | None
    fact: BehaviourFact | None
    observed: Observed
    orders: Mapping[str, int]
    rollback_rounds: int | None = None


def is_unremarkable(case: Case) -> bool:
    """Whether there is nothing to decide on: a subject in good standing was seen, and nothing spoke against it."""
    judged, before = case.judged, case.before
    if judged is None or case.channel is None or before.kept.status != "active":
        return False
    if before.state not in ("trusted", "watched") or judged.attribution is not None:
        return False
    if judged.p_value is None:
        return True
    is_usual = judged.p_value > max(case.in_force.terms.levels)
    return is_usual and judged.record.wealth[case.channel].steps % ASKED_EVERY != 0


def unmoved(case: Case) -> Response:
    """Return the response to an observation that is kept without a decision: the subject stands where it stood."""
    before = case.before
    is_learnt = case.judged is not None and case.judged.p_value is not None
    trust = _trust(case) if is_learnt else before.kept.trust
    device = _device(case, trust)
    fact = case.in_force.judge.fact(before.kept.record, case.judged, case.now)
    observed = Observed(
        subject=device.id,
        version=before.kept.version,
        record=_record(case, before.state),
        e_value=fact.e_value,
        trust=device.trust,
        score=_score(case),
    )
    return Response(device, before.state, before.state, None, case.channel, case.judged, fact, observed, {})


async def respond(decider: Decides, case: Case) -> Response:
    """Ask policy where a subject stands from now on."""
    before, judged = case.before, case.judged
    device = _device(case, _trust(case))
    fact = case.in_force.judge.fact(before.kept.record, judged, case.now)
    decision = await decider.decide(PACKAGE, _facts(case, device, fact))
    was, state = before.state, state_after(decision, before)
    observed = _observed(case, decision, state, device, fact.e_value)
    is_decided = decision.allowed and decision.obligations.state is not None
    stands = {"state": state, "e_value": observed.e_value, **({} if state == was else {"state_age_seconds": 0.0})}
    rounds = decision.obligations.rollback_rounds if state == "quarantined" != was else None
    return Response(
        device=device.model_copy(update={"status": observed.status or device.status, "trust": observed.trust}),
        was=was,
        state=state,
        decision=decision,
        channel=case.channel,
        judged=judged,
        fact=fact.model_copy(update=stands) if is_decided else None,
        observed=observed,
        orders=dict.fromkeys(sorted(before.contributed), rounds) if rounds else {},
        rollback_rounds=rounds or None,
    )


def state_after(decision: Decision, before: Before) -> BehaviourState:
    """Return where a subject stands after a decision.

    A denial, or an answer that names no state, leaves it where it was, and no better than watched; a denial that says
    that it is set apart sets it apart all the same. Whom a person set apart, policy does not: it would let it back.
    """
    wanted = decision.obligations.state
    is_said = decision.allowed or wanted == "quarantined"
    if wanted is None or not is_said or (wanted == "quarantined" and before.is_held):
        return "watched" if before.state == "trusted" else before.state
    return wanted


def _device(case: Case, trust: Trust) -> Device:
    """The subject as it stands with what was observed; what is kept of its trust's history, the store says."""
    kept, history = case.before.kept, case.before.device.trust_history
    if history is not None:
        history = history.after(trust.score, case.now) if history.score == kept.trust.score else None
    changes = {"status": kept.status, "trust": trust, "trust_history": history}
    return case.before.device.model_copy(update=changes)


def _facts(case: Case, device: Device, fact: BehaviourFact) -> dict[str, Any]:
    judged, behaviour = case.judged, fact.model_dump(exclude_none=True)
    behaviour["e_values"] = dict(judged.e_values) if judged else {}
    behaviour["contributed"] = sum(case.before.contributed.values())
    record = judged.record if judged else case.before.kept.record
    wealth = record.wealth if record else {}
    behaviour["conforming"] = {name: one.conforming for name, one in wealth.items()}
    behaviour["convicted"] = {name: one.convicted for name, one in wealth.items() if one.convicted}
    if case.channel is not None:
        behaviour["channel"] = case.channel
    if judged is not None and judged.attribution is not None:
        behaviour |= {"attack": judged.attribution.attack, "confidence": judged.attribution.confidence}
    return {
        "subject": {"type": "device", "id": device.id, "properties": subject_facts(device, case.now)},
        "action": {"name": "respond"},
        "resource": {"type": "behaviour", "id": device.id},
        "context": {"time": case.now, "behaviour": behaviour},
    }


def _observed(case: Case, decision: Decision, state: BehaviourState, device: Device, e_value: float) -> Observed:
    kept, was = case.before.kept, case.before.state
    record, trust = _record(case, state), device.trust
    if was == "quarantined" != state:
        record, trust, e_value = _renewed(record, case.in_force), case.newcomer, 1.0
    return Observed(
        subject=device.id,
        version=kept.version,
        record=record,
        e_value=e_value,
        trust=trust,
        status=_status(case.before, state),
        score=_score(case),
        verdict=_verdict(case, decision, state, e_value, trust),
    )


def _record(case: Case, state: BehaviourState) -> BehaviourRecord:
    record = case.judged.record if case.judged else case.before.kept.record
    if record is None:
        raise ValueError("time alone says nothing of a subject that was never observed")
    if state == case.before.state:
        return record.model_copy(update={"state": state})
    wealth = {name: _moved(one, state) for name, one in record.wealth.items()}
    return record.model_copy(update={"state": state, "since": case.now, "wealth": wealth})


def _moved(wealth: Wealth, state: BehaviourState) -> Wealth:
    # What convicted it stays until its probation has ended, whatever becomes of the wealth meanwhile.
    convicted = wealth.convicted if state in ("quarantined", "recovering") else 0.0
    if state == "quarantined":
        convicted = max(convicted, betting.value(wealth))
    return wealth.model_copy(update={"conforming": 0, "convicted": convicted})


def _renewed(record: BehaviourRecord, in_force: InForce) -> BehaviourRecord:
    # What set it apart has had its consequence; with it, the next observation would set it apart again.
    wealth = {name: Wealth(convicted=one.convicted) for name, one in record.wealth.items()}
    return record.model_copy(update={"wealth": wealth, "conforming": in_force.terms.newcomer, "deviating": 0.0})


def _status(before: Before, state: BehaviourState) -> Literal["active", "quarantined"] | None:
    if state == "quarantined":
        return "quarantined" if before.kept.status == "active" else None
    return "active" if before.state == "quarantined" and before.kept.status == "quarantined" else None


def _trust(case: Case) -> Trust:
    before, judged = case.before.kept.trust, case.judged
    if judged is None:
        return before
    seen = min(_MOST_OBSERVATIONS, before.observations + judged.trust.observations)
    return Trust(score=judged.trust.score, observations=seen)


def _score(case: Case) -> Score | None:
    judged = case.judged
    if case.channel is None or judged is None or judged.score is None:
        return None
    return Score(case.channel, judged.peers, case.round_id, judged.score, case.now)


def _verdict(case: Case, decision: Decision, state: BehaviourState, e_value: float, trust: Trust) -> Verdict | None:
    judged, was = case.judged, case.before.state
    if case.channel is None or judged is None or (judged.attribution is None and state == was):
        return None
    return Verdict(
        subject=case.before.device.id,
        time=case.now,
        channel=case.channel,
        round_id=case.round_id or None,
        decision_id=decision.id,
        state=state,
        was=was,
        p_value=judged.admission_p_value,
        e_value=e_value,
        trust=trust.score,
        attribution=judged.attribution,
    )
