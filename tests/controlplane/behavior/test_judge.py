"""The judge: pure, comparable with the like alone, and it finds who is hostile without convicting who is not."""

import random
from collections import defaultdict, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior import Judge, Judged, Known, Part, Peer, attributed
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms, Wealth
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.sidecar.folders import product_folder
from tests.controlplane.behavior.cohorts import TERMS, any_cohort, evidence, homes, honest

ALPHA = 0.02
Cohort = dict[str, UpdateEvidence]


def known(cohort: Cohort, segment: str = "homes") -> dict[str, Known]:
    return dict.fromkeys(cohort, Known(None, segment))


def judge(cohort: Cohort, pools: dict[str, list[Peer]] | None = None, by: BehaviourTerms = TERMS) -> dict[str, Judged]:
    return Judge(by).updates(cohort, known(cohort), pools or {}, 1000.0)


def terms(**changes: object) -> BehaviourTerms:
    return TERMS.model_copy(update=changes)


class Fleet:
    """Rounds one after the other, as the control plane judges them."""

    def __init__(self, by: BehaviourTerms = TERMS) -> None:
        self.judge, self.terms = Judge(by), by
        self.records: dict[str, BehaviourRecord] = {}
        self.evidence: dict[str, float] = {}
        self.recent: deque[dict[str, list[Peer]]] = deque(maxlen=by.window)

    def round(self, cohort: Cohort) -> dict[str, Judged]:
        pools: dict[str, list[Peer]] = defaultdict(list)
        for scored in self.recent:
            for peers, found in scored.items():
                pools[peers] += found
        before = {name: Known(self.records.get(name), "homes") for name in cohort}
        judged = self.judge.updates(cohort, before, pools, 0.0)
        now: dict[str, list[Peer]] = defaultdict(list)
        for name, one in judged.items():
            self.records[name], self.evidence[name] = one.record, one.e_value
            if one.score is not None:
                now[one.peers].append(Peer(name, one.score))
        self.recent.append(now)
        return judged


@given(any_cohort, st.randoms(use_true_random=False))
def test_the_order_of_subjects_does_not_matter(cohort: Cohort, shuffler: random.Random) -> None:
    names = list(cohort)
    shuffler.shuffle(names)
    assert judge({name: cohort[name] for name in names}) == judge(cohort)


@given(any_cohort, st.lists(st.floats(0.0, 50.0), max_size=30))
def test_whatever_the_evidence_all_is_within_bounds(cohort: Cohort, recent: list[float]) -> None:
    pools = {peers: [Peer("other", score) for score in recent] for peers in ("homes", "homes.skew0", "homes.skew1")}
    for one in judge(cohort, pools).values():
        assert 0.0 <= one.trust.score <= 1.0
        assert one.p_value is None or 0.0 < one.p_value <= 1.0
        assert one.e_value >= 0.0
        BehaviourRecord.model_validate(one.record.model_dump())


def test_a_newcomer_begins_watched_and_unsuspected() -> None:
    own = judge(homes(10))["home-0"]
    assert (own.record.state, own.record.since, own.record.observed_at) == ("watched", 1000.0, 1000.0)
    assert own.e_value <= 1.0
    assert own.trust.observations == 1


def test_what_the_response_policy_decides_is_left_as_it_was() -> None:
    before = BehaviourRecord(
        state="recovering", since=5.0, wealth={}, conforming=9.0, deviating=1.0, observed_at=7.0, version=3
    )
    cohort = homes(10)
    after = Judge(TERMS).updates(cohort, {"home-0": Known(before, "homes")}, {}, 1000.0)["home-0"].record
    assert (after.state, after.since, after.version, after.observed_at) == ("recovering", 5.0, 3, 1000.0)


def test_who_is_not_known_is_compared_with_and_not_judged() -> None:
    cohort = homes(10)
    assert set(Judge(TERMS).updates(cohort, {"home-3": Known(None, "homes")}, {}, 0.0)) == {"home-3"}


def test_too_few_peers_say_nothing_and_change_nothing() -> None:
    cohort = {"a": evidence(cosine=-1.0), "b": evidence(), "c": evidence()}
    own = judge(cohort)["a"]
    assert (own.p_value, own.score, own.comparable, own.attribution) == (None, None, 0, None)
    assert own.record.wealth == {}
    assert own.trust.observations == 0
    assert own.trust.score == pytest.approx(0.6, abs=0.001)


def test_too_small_a_pool_says_nothing() -> None:
    own = judge(homes(10), by=terms(calibration={"any": [0.0] * 5}))["home-0"]
    assert (own.p_value, own.comparable, own.record.wealth) == (None, 5, {})
    assert own.score is not None


def test_the_pool_grows_without_a_calibration() -> None:
    recent = [Peer(f"peer-{number}", 0.0) for number in range(99)]
    cohort = {**homes(10), "own": evidence(norm_ratio=9.0, concentration=0.5)}
    own = judge(cohort, {"homes.skew0": recent}, terms(calibration={"any": []}))["own"]
    assert (own.comparable, own.p_value) == (99, pytest.approx(2.0 / 100))


def test_classes_are_by_segment_and_skew() -> None:
    cohort = {"a": evidence(concentration=0.1), "b": evidence(concentration=0.8), "c": evidence(concentration=None)}
    segments = {"a": "homes", "b": "homes", "c": "offices"}
    assert Judge(TERMS).classes(cohort, segments) == {"a": "homes.skew0", "b": "homes.skew1", "c": "offices"}
    assert Judge(terms(skew=[])).classes(cohort, segments)["a"] == "homes.skew0"


@pytest.mark.parametrize(
    ("calibration", "comparable"),
    [
        ({"any": [0.0] * 30}, 30),
        ({"any": [0.0] * 30, "skew0": [0.0] * 40}, 40),
        ({"any": [0.0] * 30, "skew0": [0.0] * 40, "homes.skew0": [0.0] * 50}, 50),
        ({"skew1": [0.0] * 30}, 0),
    ],
)
def test_the_nearest_calibration_is_compared_with(calibration: dict[str, list[float]], comparable: int) -> None:
    cohort = {name: one.model_copy(update={"concentration": 0.5}) for name, one in homes(10).items()}
    assert judge(cohort, by=terms(calibration=calibration))["home-0"].comparable == comparable


def test_who_sends_nothing_usable_is_worse_than_anybody() -> None:
    own = judge({**homes(10), "own": evidence(shapes_match=False, concentration=None)})["own"]
    assert own.p_value == pytest.approx(2.0 / (len(TERMS.calibration["any"]) + 1))
    assert own.attribution is not None
    assert own.attribution.attack == "malformed"


def test_an_unremarkable_update_has_no_attribution() -> None:
    assert all(one.attribution is None for one in judge(homes(20)).values() if (one.p_value or 0.0) > 0.05)


@pytest.mark.parametrize(
    "hostile",
    [
        {"norm_ratio": 5.0},
        {"cosine": -0.3, "sign_agreement": 0.4},
        {"sign_balance": 0.2, "twin_cosine": 1.0},
        {"nonfinite": 3},
        {"innovation": 0.0, "replay_cosine": 1.0},
    ],
)
@pytest.mark.parametrize("onset", [0, 6])
def test_who_is_hostile_is_found_within_three_rounds_of_its_onset(hostile: dict[str, object], onset: int) -> None:
    fleet, noise = Fleet(), random.Random(onset)
    for number in range(onset):
        fleet.round({**homes(16, number), "bad": honest(noise)})
    for number in range(3):
        fleet.round({**homes(16, 100 + number), "bad": evidence(**hostile)})
    assert fleet.evidence["bad"] >= 1.0 / ALPHA
    assert max(one for name, one in fleet.evidence.items() if name != "bad") < 1.0 / ALPHA
    assert fleet.records["bad"].deviating > 2.0


def test_colluders_who_take_turns_look_usual_to_each_other_and_are_not_admitted() -> None:
    shipped = BehaviourTerms.model_validate_json((product_folder("policies") / "data/behaviour/data.json").read_bytes())
    fleet, least = Fleet(shipped), 0.05
    whitewashed = admitted = denied = 0
    for number in range(24):
        turn = {f"home-{at}" for at in range(20) if (number + at) % 3 == 0}
        hostile = {
            name: evidence(cosine=-0.19, norm_ratio=2.9, sign_agreement=0.45, concentration=0.5) for name in turn
        }
        for name, one in fleet.round(homes(100, number) | hostile).items():
            p_value = fleet.judge.fact(None, one, 0.0).p_value
            assert p_value is not None and one.p_value is not None
            whitewashed += name in turn and one.p_value > least
            admitted += name in turn and p_value > least
            denied += name not in turn and p_value <= least
            assert p_value > least or one.attribution is not None
    assert whitewashed > 20
    assert admitted == 0
    assert denied < 0.05 * 24 * 93


def test_an_honest_fleet_keeps_its_trust() -> None:
    by = terms(calibration={"any": _calibration()})
    fleet = Fleet(by)
    for number in range(40):
        judged = fleet.round(homes(16, number))
    assert max(fleet.evidence.values()) < 1.0 / ALPHA
    assert sum(one.trust.score >= 0.7 for one in judged.values()) >= 15


def _calibration() -> list[float]:
    found = [one.score for seed in range(40) for one in judge(homes(16, 1000 + seed)).values()]
    return sorted(score for score in found if score is not None)


def test_who_stops_is_forgotten_in_time() -> None:
    fleet = Fleet()
    for number in range(4):
        fleet.round({**homes(16, number), "bad": evidence(norm_ratio=9.0)})
    assert fleet.evidence["bad"] > 1.0 / ALPHA
    for number in range(TERMS.horizon):
        judged = fleet.round(homes(16, 100 + number) | {"bad": evidence()})
    assert judged["bad"].e_value < 1.0
    assert judged["bad"].trust.score > 0.7


def test_another_channel_has_wealth_of_its_own() -> None:
    before = Known(None, "homes")
    told = attributed([Part("requests", 5.0, 90.0, 3.0)], {}, "overuse", 0.9)
    pool = [Peer(f"peer-{number}", 0.0) for number in range(400)]
    one = Judge(TERMS).observation("access", "own", 5.0, "homes", pool, before, told, 9.0)
    assert (one.comparable, one.p_value, one.attribution) == (400, pytest.approx(2.0 / 401), told)
    assert set(one.record.wealth) == {"access"}
    assert one.e_values["updates"] == 1.0
    assert one.e_value == pytest.approx(0.8 + 0.2 * one.e_values["access"])


def test_another_channel_never_uses_the_calibration_of_updates() -> None:
    one = Judge(TERMS).observation("access", "own", 5.0, "homes", [], Known(None, "homes"), None, 9.0)
    assert (one.comparable, one.p_value) == (0, None)
    by = terms(calibration={**TERMS.calibration, "access": [0.0] * 50, "homes": [0.0] * 60})
    assert Judge(by).observation("access", "a", 1.0, "guests", [], Known(None, "guests"), None, 9.0).comparable == 50
    assert Judge(by).observation("access", "a", 1.0, "homes", [], Known(None, "homes"), None, 9.0).comparable == 60


def test_the_fact_shows_where_a_subject_stood_and_what_speaks_against_it_now() -> None:
    before = BehaviourRecord(
        state="trusted", since=400.0, wealth={"access": Wealth(active=3.0, waiting=0.0, steps=4)},
        conforming=9.0, deviating=0.0, observed_at=900.0,
    )  # fmt: skip
    by = Judge(TERMS)
    assert by.fact(before, None, 1000.0).e_value == pytest.approx(0.8 + 0.2 * 3.0)
    cohort = {**homes(12), "own": evidence(norm_ratio=9.0)}
    one = by.updates(cohort, {"own": Known(before, "homes")}, {}, 1000.0)["own"]
    fact = by.fact(before, one, 1000.0)
    assert (fact.state, fact.state_age_seconds) == ("trusted", 600.0)
    assert (fact.e_value, fact.p_value, fact.comparable) == (one.e_value, one.admission_p_value, one.comparable)


def test_nothing_is_known_of_a_stranger_and_nothing_speaks_against_it() -> None:
    fact = Judge(TERMS).fact(None, None, 5.0)
    assert (fact.state, fact.state_age_seconds, fact.p_value, fact.comparable) == ("watched", 0.0, None, 0)
    assert fact.e_value == pytest.approx(1.0)


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    record = BehaviourRecord(state="watched", since=50.0, wealth={}, conforming=1.0, deviating=0.0, observed_at=50.0)
    assert Judge(TERMS).fact(record, None, 10.0).state_age_seconds == 0.0


@given(st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_who_deviates_more_is_trusted_no_more(one: float, other: float) -> None:
    pool = [Peer(f"peer-{number}", number / 20) for number in range(400)]
    less, more = sorted([one, other])
    judged = [
        Judge(TERMS).observation("access", "own", score, "homes", pool, Known(None, "homes"), None, 0.0)
        for score in (less, more)
    ]
    assert judged[0].trust.score >= judged[1].trust.score
    assert judged[0].e_value <= judged[1].e_value
