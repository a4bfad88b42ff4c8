"""The trust score: what it must never do, over all evidence, and what it does with the demo's kinds of update."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior import TrustModel
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import Trust

QUARANTINE_BELOW = 0.3
TAKES_PART = 0.5
FULL = 0.7
NEWCOMER = Trust(score=0.6, observations=0)

scores = st.floats(0.0, 1.0)
priors = st.builds(Trust, score=scores, observations=st.integers(0, 100))


def evidence(**changes: object) -> UpdateEvidence:
    usual: dict[str, object] = {
        "update_digest": "sha256:" + "0" * 64,
        "parameters": 1000,
        "nonfinite": 0,
        "shapes_match": True,
        "norm": 1.0,
        "norm_ratio": 1.0,
        "cosine": 0.3,
        "reference": "root",
        "sign_agreement": 0.6,
        "duplicates": 0,
        "examples": 100,
        "layer_shares": {"head.weight": 1.0},
    }
    return UpdateEvidence.model_validate(usual | changes)


any_evidence = st.builds(
    evidence,
    nonfinite=st.sampled_from([0, 0, 0, 3]),
    shapes_match=st.sampled_from([True, True, False]),
    norm=st.floats(0.0, 1e6),
    norm_ratio=st.floats(0.0, 1e3),
    cosine=st.floats(-1.0, 1.0),
    reference=st.sampled_from(["root", "centre"]),
    sign_agreement=st.floats(0.0, 1.0),
    duplicates=st.integers(0, 20),
)
honest_evidence = st.builds(
    evidence,
    norm_ratio=st.floats(0.01, 2.0),
    cosine=st.floats(-0.2, 1.0),
    sign_agreement=st.floats(0.46, 1.0),
)
cohorts = st.lists(any_evidence, min_size=1, max_size=12).map(
    lambda found: {f"device-{index}": one for index, one in enumerate(found)}
)


def assess(prior: Trust, own: UpdateEvidence, peers: list[UpdateEvidence]) -> Trust:
    cohort = {f"peer-{index}": peer for index, peer in enumerate(peers)} | {"own": own}
    return TrustModel().assess(dict.fromkeys(cohort, NEWCOMER) | {"own": prior}, cohort)["own"].trust


@given(cohorts, priors)
def test_trust_stays_a_share_and_every_update_is_counted(cohort: dict[str, UpdateEvidence], prior: Trust) -> None:
    for assessed in TrustModel().assess(dict.fromkeys(cohort, prior), cohort).values():
        assert 0.0 <= assessed.trust.score <= 1.0
        assert assessed.trust.observations == prior.observations + 1


@given(any_evidence, st.lists(any_evidence, max_size=8), priors, st.data())
def test_worse_evidence_never_raises_trust(
    own: UpdateEvidence, peers: list[UpdateEvidence], prior: Trust, data: st.DataObject
) -> None:
    worse = own.model_copy(
        update={
            "cosine": data.draw(st.floats(-1.0, own.cosine)),
            "sign_agreement": data.draw(st.floats(0.0, own.sign_agreement)),
            "norm_ratio": data.draw(st.floats(own.norm_ratio, 1e6)) if own.norm_ratio > 0.0 else 0.0,
            "duplicates": data.draw(st.integers(own.duplicates, 100)),
            "nonfinite": data.draw(st.sampled_from([own.nonfinite, own.nonfinite + 1])),
        }
    )
    assert assess(prior, worse, peers).score <= assess(prior, own, peers).score + 1e-12


@given(any_evidence, st.lists(any_evidence, max_size=8), st.tuples(scores, scores).map(sorted))
def test_a_better_past_never_ends_in_less_trust(
    own: UpdateEvidence, peers: list[UpdateEvidence], past: list[float]
) -> None:
    low, high = (assess(Trust(score=score, observations=1), own, peers).score for score in past)
    assert low <= high + 1e-12


@given(cohorts, st.randoms(use_true_random=False))
def test_the_order_of_subjects_does_not_matter(cohort: dict[str, UpdateEvidence], shuffler: random.Random) -> None:
    names = list(cohort)
    shuffler.shuffle(names)
    shuffled = {name: cohort[name] for name in names}
    prior = dict.fromkeys(cohort, NEWCOMER)
    assert TrustModel().assess(prior, cohort) == TrustModel().assess(prior, shuffled)


@given(st.lists(st.lists(honest_evidence, min_size=1, max_size=10), min_size=1, max_size=20))
def test_a_device_within_all_limits_never_loses_trust(stream: list[list[UpdateEvidence]]) -> None:
    trust = NEWCOMER
    for cohort in stream:
        after = assess(trust, cohort[0], cohort[1:])
        assert after.score >= trust.score
        trust = after


@pytest.mark.parametrize("seed", range(25))
def test_an_honest_stationary_stream_is_never_quarantined(seed: int) -> None:
    noise = random.Random(seed)
    names = [f"device-{index}" for index in range(16)]
    trust = dict.fromkeys(names, NEWCOMER)
    for _ in range(30):
        cohort = {
            name: evidence(
                cosine=max(-1.0, noise.gauss(0.12, 0.07)),
                norm_ratio=max(0.01, noise.gauss(1.0, 0.2)),
                sign_agreement=noise.gauss(0.56, 0.02),
            )
            for name in names
        }
        trust = {name: assessed.trust for name, assessed in TrustModel().assess(trust, cohort).items()}
        assert min(one.score for one in trust.values()) >= TAKES_PART
    assert min(one.score for one in trust.values()) >= FULL


@pytest.mark.parametrize(
    "empty",
    [
        {"norm": 0.0, "norm_ratio": 0.0, "cosine": -1.0, "sign_agreement": 0.0},
        {"norm": 0.0, "norm_ratio": 0.0, "cosine": 1.0},
        {"shapes_match": False},
        {"nonfinite": 1},
        {"cosine": 0.0},
    ],
)
@given(prior=priors)
def test_missing_or_empty_evidence_earns_nothing(empty: dict[str, object], prior: Trust) -> None:
    assert assess(prior, evidence(**empty), [evidence()] * 5).score <= prior.score


def test_whoever_is_alone_with_the_centre_is_neither_suspected_nor_rewarded() -> None:
    alone = evidence(reference="centre", cosine=-1.0, sign_agreement=0.0)
    assert assess(NEWCOMER, alone, []).score == NEWCOMER.score


@pytest.mark.parametrize("prior", [0.6, 0.9, 1.0])
@pytest.mark.parametrize(
    ("hostile", "feature"),
    [
        ({"cosine": -0.37, "norm_ratio": 4.7, "sign_agreement": 0.36}, "cosine"),
        ({"norm_ratio": 8.6}, "norm_ratio"),
        ({"nonfinite": 7}, "malformed"),
        ({"duplicates": 3}, "duplicates"),
    ],
)
def test_one_clearly_hostile_update_leads_to_quarantine(prior: float, hostile: dict[str, object], feature: str) -> None:
    cohort = {f"home-{index}": evidence(cosine=0.3 + index / 100) for index in range(16)} | {"bad": evidence(**hostile)}
    before = dict.fromkeys(cohort, Trust(score=prior, observations=3))
    assessed = TrustModel().assess(before, cohort)
    assert assessed["bad"].trust.score < QUARANTINE_BELOW
    assert feature in assessed["bad"].features
    assert all(one.features == () for name, one in assessed.items() if name != "bad")


def test_what_all_peers_share_speaks_against_nobody() -> None:
    cohort = {f"home-{index}": evidence(cosine=-0.3 - index / 1000) for index in range(10)}
    assessed = TrustModel().assess(dict.fromkeys(cohort, NEWCOMER), cohort)
    assert {one.features for one in assessed.values()} == {()}


def test_a_newcomer_with_one_twin_may_still_take_part() -> None:
    assert assess(NEWCOMER, evidence(duplicates=1), [evidence()] * 5).score >= TAKES_PART


def test_features_are_named_largest_first() -> None:
    own = evidence(norm_ratio=9.0, cosine=-0.25)
    cohort = {f"home-{index}": evidence() for index in range(8)} | {"own": own}
    assessed = TrustModel().assess(dict.fromkeys(cohort, NEWCOMER), cohort)["own"]
    assert assessed.features == ("norm_ratio", "cosine")
