"""An attack is named by what it moves, and only where the readings suit it."""

import pytest
from hypothesis import given

from controlplane.behavior.patterns import PATTERNS, likely
from controlplane.behavior.scores import Part, Score, scores
from controlplane.contracts.evidence import UpdateEvidence
from tests.controlplane.behavior.cohorts import any_cohort, evidence, homes


@pytest.mark.parametrize(
    ("attack", "changes"),
    [
        ("malformed", {"nonfinite": 2}),
        ("replay", {"seen_before": True, "innovation": 0.0, "replay_cosine": 1.0}),
        ("replay", {"innovation": 1e-6}),
        ("free_rider", {"norm_ratio": 0.01, "innovation": 1.0}),
        (
            "sign_flip",
            {"cosine": -0.3, "sign_agreement": 0.4, "layer_cosines": {"head.weight": -0.3, "query_up": -0.5}},
        ),
        ("sign_flip", {"cosine": -0.28, "sign_agreement": 0.4, "norm_ratio": 5.0}),
        ("label_flip", {"cosine": -0.05, "sign_agreement": 0.48, "norm_ratio": 2.0}),
        ("backdoor", {"norm_ratio": 2.2, "twin_cosine": 0.75, "layer_cosines": {"head.weight": 0.2, "query_up": 0.1}}),
        ("backdoor", {"norm_ratio": 8.0}),
        ("sybil", {"twin_cosine": 0.95, "centrality": 0.4, "subspace_overlap": 0.1, "norm_ratio": 1.4}),
        ("collusion", {"twin_cosine": 1.0, "duplicates": 3, "sign_balance": 0.1, "centrality": 0.3}),
        ("model_poisoning", {"sign_balance": 0.1}),
        ("model_poisoning", {"subspace_overlap": 0.0, "low_frequency": 0.8}),
    ],
)
def test_the_attack_that_looks_like_it_is_named(attack: str, changes: dict[str, object]) -> None:
    cohort = {**homes(15), "own": evidence(**changes)}
    name, confidence = likely(cohort["own"], scores(cohort)["own"])
    assert name == attack
    assert 0.0 < confidence <= 1.0


def test_every_pattern_is_of_measurements_that_there_are() -> None:
    cohort = {**homes(15), "own": evidence(seen_before=True), "broken": evidence(nonfinite=1)}
    fields = set(UpdateEvidence.model_fields) | {part.name for one in scores(cohort).values() for part in one.parts}
    assert {name for pattern in PATTERNS for name in pattern.moves} <= fields


@given(any_cohort)
def test_confidence_is_a_share_whatever_the_evidence(cohort: dict[str, UpdateEvidence]) -> None:
    for name, score in scores(cohort).items():
        assert 0.0 <= likely(cohort[name], score)[1] <= 1.0


def test_nothing_looks_like_an_attack_without_a_measurement_that_it_moves() -> None:
    assert likely(evidence(cosine=-1.0), Score(3.0, (Part("moon_phase", 3.0, 1.0, 0.0),))) == ("unknown", 0.0)
