"""Attribution names what a score is made of, and the attack that looks like it."""

import pytest
from hypothesis import given

from controlplane.behavior.attribution import attributed, of_update
from controlplane.behavior.scores import Part, Score, scores
from controlplane.contracts.behaviour import Attribution
from controlplane.contracts.evidence import UpdateEvidence
from tests.controlplane.behavior.cohorts import any_cohort, evidence, homes

Cohort = dict[str, UpdateEvidence]


def attribution(**changes: object) -> Attribution:
    cohort = {**homes(15), "own": evidence(**changes)}
    found = of_update(cohort["own"], scores(cohort)["own"])
    assert found is not None
    return found


@given(any_cohort)
def test_whatever_scores_has_features_whose_shares_add_up(cohort: Cohort) -> None:
    for name, score in scores(cohort).items():
        found = of_update(cohort[name], score)
        if not score.value:
            assert found is None
            continue
        assert found is not None
        shares = [one.share for one in found.features]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1.0 + 1e-9
        assert len(found.features) < 8 or sum(shares) > 0.5
        assert sum(one.share for one in found.layers) <= 1.0 + 1e-9


def test_what_stands_out_in_no_known_way_is_unknown() -> None:
    found = of_update(evidence(), Score(3.0, (Part("moon_phase", 3.0, 1.0, 0.0),)))
    assert found is not None
    assert (found.attack, found.confidence, found.atlas, found.owasp) == ("unknown", 0.0, None, None)


def test_features_say_what_was_measured_and_what_is_usual() -> None:
    first = attribution(norm_ratio=4.0).features[0]
    assert (first.name, first.value) == ("norm_ratio", 4.0)
    assert first.expected == pytest.approx(1.0, abs=0.1)


def test_the_tensor_behind_it_is_named() -> None:
    layers = attribution(layer_cosines={"head.weight": 0.3, "query_up": -0.6}).layers
    assert [one.name for one in layers] == ["query_up"]


def test_the_sentence_is_for_people() -> None:
    sentence = attribution(norm_ratio=4.0, cosine=0.3).sentence
    assert sentence == "This looks like a backdoor that is being taught: its length is 4.00 times the median."


def test_a_long_name_does_not_make_a_sentence_too_long() -> None:
    parts = [Part(f"measure_{letter * 50}", 9.0, 1e12, -1e12) for letter in "abc"]
    assert len(attributed(parts, {}, "unknown", 0.0).sentence) <= 512


def test_the_same_is_told_of_other_channels() -> None:
    found = attributed([Part("requests", 6.0, 90.0, 4.0), Part("novelty", 3.0, 0.9, 0.1)], {}, "overuse", 0.8)
    assert [one.name for one in found.features] == ["requests", "novelty"]
    assert [one.share for one in found.features] == pytest.approx([0.8, 0.2])
    assert (found.atlas, found.owasp, found.layers) == ("AML.T0034.000", "LLM10:2025", [])
