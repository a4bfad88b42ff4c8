"""Scores: what stands out scores, what all share does not, and nobody can be made to stand out by a copy."""

import random
from collections.abc import Mapping
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior import scores as module
from controlplane.behavior.scores import FEWEST, LARGEST_EXCESS, MEASURES, TOLERANCE, WORST, Measure, Part, scores
from controlplane.contracts.evidence import UpdateEvidence
from tests.controlplane.behavior.cohorts import any_cohort, any_evidence, evidence, homes, unmeasured

Cohort = dict[str, UpdateEvidence]


def score(cohort: Cohort, name: str = "own") -> float:
    found = scores(cohort)[name].value
    assert found is not None
    return found


def with_own(count: int = 15, **changes: object) -> Cohort:
    return {**homes(count), "own": evidence(**changes)}


def parts(cohort: Cohort, name: str = "own") -> set[str]:
    return {part.name for part in scores(cohort)[name].parts}


@given(any_cohort)
def test_any_evidence_has_a_finite_score_or_none(cohort: Cohort) -> None:
    for one in scores(cohort).values():
        assert one.value is None or 0.0 <= one.value <= WORST
        assert all(part.excess > 0.0 and isfinite(part.excess) for part in one.parts)


@given(any_cohort, st.randoms(use_true_random=False))
def test_the_order_of_subjects_does_not_matter(cohort: Cohort, shuffler: random.Random) -> None:
    names = list(cohort)
    shuffler.shuffle(names)
    assert scores({name: cohort[name] for name in names}) == scores(cohort)


@given(any_evidence)
def test_what_all_share_speaks_against_nobody(one: UpdateEvidence) -> None:
    alike = one.model_copy(update={"nonfinite": 0, "shapes_match": True, "seen_before": False})
    found = scores({f"home-{number}": alike for number in range(8)})
    assert {one.value for one in found.values()} in ({0.0}, {None})


@pytest.mark.parametrize("seed", range(10))
def test_most_honest_updates_score_nothing(seed: int) -> None:
    found = [one.value for one in scores(homes(40, seed)).values()]
    assert found.count(0.0) >= 20
    assert max(value for value in found if value is not None) < 4.0


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"norm_ratio": 3.0}, "norm_ratio"),
        ({"norm_ratio": 0.1}, "norm_ratio"),
        ({"cosine": -0.3}, "cosine"),
        ({"sign_agreement": 0.4}, "sign_agreement"),
        ({"sign_balance": 0.3}, "sign_balance"),
        ({"sign_balance": 0.7}, "sign_balance"),
        ({"centrality": -0.2}, "centrality"),
        ({"spectral_residual": 1.0, "norm_ratio": 2.0}, "spectral_residual"),
        ({"low_frequency": 0.6}, "low_frequency"),
        ({"subspace_overlap": 0.05}, "subspace_overlap"),
        ({"innovation": 1e-6}, "innovation"),
        ({"replay_cosine": 1.0}, "replay_cosine"),
        ({"seen_before": True}, "seen_before"),
        ({"layer_cosines": {"head.weight": 0.3, "query_up": -0.6}}, "layer_cosines"),
        ({"nonfinite": 1}, "malformed"),
        ({"shapes_match": False}, "malformed"),
    ],
)
def test_each_measurement_that_stands_out_scores_and_is_named(changes: dict[str, object], feature: str) -> None:
    cohort = with_own(**changes)
    assert score(cohort) > 1.5
    assert feature in parts(cohort)


@pytest.mark.parametrize(
    "changes",
    [
        {"cosine": 0.9},
        {"sign_agreement": 0.9},
        {"subspace_overlap": 1.0},
        {"innovation": 1.0},
        {"replay_cosine": 0.0},
        {"spectral_residual": 0.0},
        {"layer_cosines": {"head.weight": 0.9, "query_up": 0.9}},
    ],
)
def test_what_stands_out_for_the_better_scores_nothing(changes: dict[str, object]) -> None:
    assert score(with_own(**changes)) == 0.0


def test_being_like_another_alone_scores_nothing() -> None:
    assert score(with_own(twin_cosine=1.0)) == 0.0
    assert score(with_own(twin_cosine=1.0, centrality=0.5)) == 0.0


def test_being_like_another_makes_what_else_stands_out_worse_and_no_more_than_that() -> None:
    alone = score(with_own(norm_ratio=2.0))
    accompanied = score(with_own(norm_ratio=2.0, twin_cosine=1.0))
    assert alone < accompanied <= 2.24 * alone


def test_what_is_malformed_is_the_worst_and_no_part_of_what_others_are_compared_with() -> None:
    cohort = with_own(nonfinite=1, norm_ratio=0.0, cosine=-1.0)
    assert score(cohort) == WORST
    assert {name: one for name, one in scores(cohort).items() if name != "own"} == scores(homes(15))


def test_an_update_without_length_has_no_score() -> None:
    assert scores(with_own(norm=0.0, norm_ratio=0.0, cosine=-1.0, sign_agreement=0.0))["own"].value is None


@pytest.mark.parametrize("count", range(1, FEWEST))
def test_too_few_to_compare_with_have_no_score(count: int) -> None:
    cohort = {f"home-{number}": evidence(cosine=-1.0 + number / 10) for number in range(count)}
    assert {one.value for one in scores(cohort).values()} == {None}


def test_a_repeated_or_malformed_update_needs_no_peers() -> None:
    found = scores({"own": evidence(seen_before=True), "other": evidence(), "broken": evidence(shapes_match=False)})
    assert (found["own"].value, found["other"].value, found["broken"].value) == (LARGEST_EXCESS, None, WORST)


def test_measurements_that_are_missing_are_not_compared() -> None:
    cohort = {f"home-{number}": unmeasured(cosine=0.3 + number / 100) for number in range(12)}
    assert score({**cohort, "own": unmeasured(cosine=-0.4)}) > 2.0
    assert score({**cohort, "own": evidence(cosine=0.3)}) == 0.0


def test_two_fifths_who_collude_do_not_become_the_norm() -> None:
    away = evidence(cosine=-0.4, sign_agreement=0.35, norm_ratio=2.5, twin_cosine=1.0, centrality=0.5)
    cohort = {**homes(12), **{f"bad-{number}": away for number in range(8)}}
    found = scores(cohort)
    assert min(found[f"bad-{number}"].value or 0.0 for number in range(8)) > 4.0
    assert max(found[f"home-{number}"].value or 0.0 for number in range(12)) < 4.0


def test_more_tensors_alike_do_not_deviate_more() -> None:
    def cohort(layers: int) -> Cohort:
        names = [f"layer-{number}" for number in range(layers)]
        usual = {f"home-{number}": evidence(layer_cosines=dict.fromkeys(names, 0.3)) for number in range(9)}
        return {**usual, "own": evidence(layer_cosines=dict.fromkeys(names, -0.4))}

    assert score(cohort(1)) == pytest.approx(score(cohort(32)))


def test_tensors_are_blamed_by_how_far_they_deviate() -> None:
    layers = {"head.weight": 0.3, "query_up": -0.6}
    assert set(scores(with_own(layer_cosines=layers))["own"].layers) == {"query_up"}


@given(any_evidence, st.floats(1.0, 100.0), st.floats(0.0, 2.0))
def test_a_longer_update_that_points_further_away_never_scores_notably_less(
    own: UpdateEvidence, factor: float, turn: float
) -> None:
    usual = homes(15)
    own = own.model_copy(update={"norm": 1.0, "norm_ratio": max(1.0, own.norm_ratio)})
    worse = own.model_copy(update={"norm_ratio": own.norm_ratio * factor, "cosine": max(-1.0, own.cosine - turn)})
    before, after = scores({**usual, "own": own})["own"], scores({**usual, "own": worse})["own"]
    if before.value is not None and after.value is not None:
        assert after.value >= before.value - 0.3


def test_every_measure_tolerates_the_ordinary() -> None:
    assert all(measure.excess(measure.sense * TOLERANCE) == 0.0 for measure in MEASURES)


def test_nothing_sent_again_is_no_replay() -> None:
    assert scores(with_own(norm=0.0, norm_ratio=0.0, seen_before=True))["own"].value is None
    assert score(with_own(seen_before=True)) >= LARGEST_EXCESS


def test_tensors_that_one_sender_made_up_cost_no_comparison_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, read, compare = 0, 0, module._compared

    def counted(measure: Measure, readings: Mapping[str, float | None]) -> dict[str, Part]:
        nonlocal compared, read
        compared, read = compared + 1, read + len(readings)
        return compare(measure, readings)

    honest = homes(30)
    usual = scores(honest)
    monkeypatch.setattr(module, "_compared", counted)
    made_up = {
        name: one.model_copy(
            update={
                "layer_shares": one.layer_shares | {f"{name}.{number}": 0.0 for number in range(60)},
                "layer_cosines": (one.layer_cosines or {}) | {f"{name}.{number}": -1.0 for number in range(60)},
            }
        )
        for name, one in honest.items()
    }
    assert scores(made_up) == usual
    assert (compared, read) == (len(MEASURES) + 2 * 2, (len(MEASURES) + 2 * 2) * 30)
