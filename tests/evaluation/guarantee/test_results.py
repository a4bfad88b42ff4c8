"""Rates have intervals, and heterogeneity is measured against what alike homes would show by chance."""

import random

import pytest

from evaluation.guarantee.report import rows, table
from evaluation.guarantee.results import Rate, Seen, heterogeneity, quarantined, rounds_to_quarantine


def seen(
    exceeded: dict[str, list[float]] | None = None, quarantined: dict[str, int] | None = None, **groups: list[str]
) -> Seen:
    found = exceeded or {}
    honest = groups.get("honest", list(found))
    return Seen(
        "fleet", "terms", honest, groups.get("shifted", []), groups.get("hostile", []), quarantined or {}, found
    )


def test_a_rate_has_wilsons_interval() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 0 of 20, and 81 of 263.
    assert (Rate(20, 0).low, Rate(20, 0).high) == (0.0, pytest.approx(0.1611, abs=5e-5))
    assert (Rate(263, 81).low, Rate(263, 81).high) == (
        pytest.approx(0.2553, abs=5e-5),
        pytest.approx(0.3662, abs=5e-5),
    )
    assert Rate(0, 0).share == 0.0


def test_each_group_is_counted_by_itself() -> None:
    one = seen(honest=["a", "b"], shifted=["b"], hostile=["x", "y"], quarantined={"b": 7, "x": 3, "y": 5})
    counts = {group: quarantined([one, one], group) for group in ("honest", "shifted", "hostile")}
    assert counts == {"honest": Rate(4, 2), "shifted": Rate(2, 2), "hostile": Rate(4, 4)}
    assert rounds_to_quarantine([one, one]) == 4.0
    assert rounds_to_quarantine([seen(honest=["a"])]) is None


def test_homes_that_are_alike_are_as_uneven_as_chance_makes_them() -> None:
    noise = random.Random(0)
    alike = {f"home-{number}": [noise.random() for _ in range(200)] for number in range(400)}
    (found,) = heterogeneity([seen(alike)], [0.1], 2.0)
    assert found.mean == pytest.approx(1.0, abs=0.1)
    assert found.top == pytest.approx(found.chance, rel=0.15)


def test_a_home_that_is_unlike_the_others_shows() -> None:
    noise = random.Random(0)
    homes = {f"home-{number}": [noise.random() for _ in range(200)] for number in range(50)}
    (found,) = heterogeneity([seen({**homes, "odd": [0.001] * 200})], [0.05], 1.0)
    assert found.top > 5.0 > 3.0 > found.chance


def test_nothing_seen_is_no_heterogeneity() -> None:
    (found,) = heterogeneity([seen()], [0.05], 2.0)
    assert (found.mean, found.top, found.chance) == (0.0, 0.0, 0.0)


def test_a_report_has_a_row_for_each_scenario_and_variant() -> None:
    found = rows([seen({"a": [0.5]}, {"x": 3}, hostile=["x"])], [0.05], 2.0)
    assert [(row["scenario"], row["variant"]) for row in found] == [("fleet", "terms")]
    told = table({"alpha": 0.02, "rounds": 9, "horizon": 200, "heterogeneity": 2.0, "rows": found})
    assert "against a promise of 2.0%" in told
    assert "honest: 0 of 1 = 0.00%" in told
    assert "hostile ones, median round: 3" in told
