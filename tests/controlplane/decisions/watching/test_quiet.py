"""Most unremarkable observations are kept without a decision: which, and what is kept of them all the same."""

import pytest

from controlplane.behavior import Judge, Judged, Known, Peer
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms, Channel
from controlplane.contracts.identity import DeviceStatus, Trust
from controlplane.contracts.observed import Kept
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.responses import ASKED_EVERY, Before, Case, is_unremarkable, unmoved
from tests.controlplane import behaving
from tests.controlplane.behavior.requests.traffic import terms

NOW = behaving.NOW
NEWCOMER = Trust(score=0.6, observations=0)
PEERS = [Peer(f"peer-{number}", 0.0) for number in range(1000)]
DEVICE = behaving.device()


def in_force(found: BehaviourTerms) -> InForce:
    return InForce("r1", found, Judge(found))


def case(
    score: float = 0.0,
    *,
    state: str = "watched",
    steps: int = 1,
    status: DeviceStatus = "active",
    pool: list[Peer] = PEERS,
    channel: Channel | None = "access",
    judged: bool = True,
) -> Case:
    """A window of a subject that was seen so often before."""
    by = in_force(terms())
    record = behaving.record(state=state, wealth={"access": {"active": 0.5, "waiting": 0.5, "steps": steps - 1}})
    kept = Kept(status=status, trust=NEWCOMER, record=record, e_value=1.0, version=3)
    found: Judged | None = None
    if judged:
        reason = behaving.attribution(attack="overuse") if score else None
        found = by.judge.observation(
            "access", DEVICE.id, score, "homes", pool, Known(record, "homes"), reason, NOW + 60.0
        )
    return Case(by, NEWCOMER, Before(DEVICE, kept, {}), found, channel, "", NOW + 60.0)


@pytest.mark.parametrize("state", ["watched", "trusted"])
def test_an_unremarkable_window_is_kept_without_a_decision(state: str) -> None:
    one = case(state=state)
    assert is_unremarkable(one)
    response = unmoved(one)
    assert (response.decision, response.was, response.state, response.orders) == (None, state, state, {})
    observed = response.observed
    assert (observed.subject, observed.version, observed.status, observed.verdict) == (DEVICE.id, 3, None, None)
    assert observed.record.wealth["access"].steps == 1
    assert isinstance(observed.record, BehaviourRecord)
    assert observed.score is not None
    assert (observed.score.channel, observed.score.value) == ("access", 0.0)
    assert observed.trust.score != NEWCOMER.score


def test_what_could_not_be_compared_changes_no_trust() -> None:
    one = case(pool=[])
    assert is_unremarkable(one)
    assert unmoved(one).observed.trust == NEWCOMER


@pytest.mark.parametrize(
    "one",
    [
        case(score=9.0),
        case(state="recovering"),
        case(state="quarantined"),
        case(status="quarantined"),
        case(status="revoked"),
        case(steps=ASKED_EVERY),
        case(channel=None),
        case(judged=False),
    ],
    ids=["remarkable", "recovering", "quarantined", "held", "revoked", "due", "time", "unjudged"],
)
def test_everything_else_is_decided_on(one: Case) -> None:
    assert not is_unremarkable(one)


def test_a_window_counts_far_less_for_trust_than_an_update_does() -> None:
    judge, record = Judge(terms()), behaving.record(conforming=4.0, deviating=4.0)
    known, now = Known(record, "homes"), NOW + 60.0
    window = judge.observation("access", DEVICE.id, 0.0, "homes", PEERS, known, None, now).trust.score
    whole = Judge(terms().model_copy(update={"worth": {"access": 1.0, "inference": 1.0, "updates": 1.0}}))
    update = whole.observation("access", DEVICE.id, 0.0, "homes", PEERS, known, None, now).trust.score
    before = judge.observation("access", DEVICE.id, 0.0, "homes", [], known, None, now).trust.score
    assert before < window < update
    assert (window - before) / (update - before) == pytest.approx(terms().worth["access"], rel=0.2)
