"""Which attack deviations look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior import Part
from controlplane.behavior.requests import access, inference
from controlplane.behavior.requests.likeness import likely

PATTERNS = {**access.PATTERNS, **inference.PATTERNS}
NAMES = sorted({name for moves in PATTERNS.values() for name in moves})


@pytest.mark.parametrize(
    ("patterns", "attack"),
    [(found, attack) for found in (access.PATTERNS, inference.PATTERNS) for attack in found],
)
def test_an_attack_that_moves_all_of_its_measures_is_named(patterns: dict[str, dict[str, float]], attack: str) -> None:
    parts = [Part(name, weight, 1.0, 0.0) for name, weight in patterns[attack].items()]  # type: ignore[index]
    assert likely(parts, patterns)[0] == attack  # type: ignore[arg-type]


def test_what_nothing_moves_is_unknown() -> None:
    assert likely([Part("off_hours", 3.0, 1.0, 0.0)], inference.PATTERNS) == ("unknown", 0.0)


def test_every_measure_is_part_of_a_pattern_and_every_pattern_of_measures() -> None:
    circumstances = {"new_network", "off_hours", "new_pairs", "denials"}
    assert {measure.name for measure in access.MEASURES} | circumstances == {
        name for moves in access.PATTERNS.values() for name in moves
    }
    assert {measure.name for measure in inference.MEASURES} == {
        name for moves in inference.PATTERNS.values() for name in moves
    }


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(1e-6, 100.0), min_size=1))
def test_confidence_is_a_share_and_scale_makes_no_difference(excess: dict[str, float]) -> None:
    parts = [Part(name, value, 1.0, 0.0) for name, value in excess.items()]
    tenfold = [Part(name, 10.0 * value, 1.0, 0.0) for name, value in excess.items()]
    attack, confidence = likely(parts, PATTERNS)  # type: ignore[arg-type]
    assert 0.0 <= confidence <= 1.0
    assert likely(tenfold, PATTERNS)[1] == pytest.approx(confidence)  # type: ignore[arg-type]
    assert (attack == "unknown") == (confidence == 0.0)
