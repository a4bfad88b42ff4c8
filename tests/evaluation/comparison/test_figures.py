"""Intervals, fronts, validity, targets and tables, against figures made by hand."""

import json
from math import inf, sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.comparison import store
from evaluation.comparison.cells import Cell
from evaluation.comparison.fronts import front
from evaluation.comparison.intervals import mean, quantile
from evaluation.comparison.masking import masked_bytes
from evaluation.comparison.results import Result, Sighting
from evaluation.comparison.rows import rows, summaries
from evaluation.comparison.targets import misses
from evaluation.comparison.validity import counts, has_backdoor
from tests.evaluation.comparison.tiny import catalogue, cell


def result(of: Cell, accuracy: float, success: float = 0.0, seen: tuple[Sighting, ...] = ()) -> Result:
    return Result(
        cell=of,
        revision="r",
        accuracy=accuracy,
        attack_success=success,
        worst_client=accuracy / 2,
        peak_attack_success=success,
        bytes_a_round=1024.0,
        updates_a_round=2.0,
        aggregation_ms=2.0,
        defence_cpu_seconds=0.5,
        cpu_seconds=1.5,
        wall_seconds=1.0,
        sightings=list(seen),
    )


def found(*results: Result) -> dict[Cell, Result]:
    return {one.cell: one for one in results}


def test_an_interval_is_students_over_seeds() -> None:
    got = mean([0.8, 0.9, 1.0])
    assert got is not None
    assert (got.value, got.count) == (pytest.approx(0.9), 3)
    assert got.half == pytest.approx(4.303 * 0.1 / sqrt(3))
    assert got.text == "0.900 ± 0.248"


def test_one_seed_says_nothing_of_spread_and_none_nothing_at_all() -> None:
    got = mean([0.5, None])
    assert got is not None and got.half == inf and got.text == "0.500"
    assert mean([None]) is None


def test_quantiles_are_scipys_or_a_little_wider() -> None:
    stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 2, 5, 10, 20, 30, 31, 1000):
        right = float(stats.t.ppf(0.975, degrees))
        assert right - 0.001 <= quantile(degrees) <= right * 1.1


def test_the_front_is_who_nobody_beats() -> None:
    points = {"a": (0.0, 3.0), "b": (1.0, 1.0), "c": (1.0, 2.0), "d": (3.0, 0.0), "e": (1.0, 1.0)}
    assert front(points) == {"a", "b", "d", "e"}
    assert front({}) == set()


@settings(max_examples=50)
@given(st.dictionaries(st.integers(), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_everybody_off_the_front_is_beaten_by_somebody_on_it(points: dict[int, tuple[int, int]]) -> None:
    on = front(points)
    assert on
    for name in points.keys() - on:
        assert any(all(a <= b for a, b in zip(points[other], points[name], strict=True)) for other in on)


@pytest.mark.parametrize(
    ("accuracy", "success", "is_valid"), [(0.85, 0.0, True), (0.86, 0.0, False), (0.9, 0.5, True), (0.9, 0.49, False)]
)
def test_a_cell_counts_where_plain_averaging_loses_five_points_or_is_attacked_half_the_time(
    accuracy: float, success: float, is_valid: bool
) -> None:
    guarded = cell("push", "apart")
    known = found(result(cell("none"), 0.9), result(cell("push"), accuracy, success), result(guarded, 0.2, 1.0))
    assert counts(guarded, known) is is_valid
    assert has_backdoor(guarded, known) is (success >= 0.5)


def test_whether_a_cell_counts_is_told_by_the_plain_one_of_its_own_seed_share_and_skew() -> None:
    others = [cell("push", seed=1), cell("push", share=0.3), cell("push", skew=0.1)]
    known = found(result(cell("none"), 0.9), *(result(one, 0.1) for one in others))
    assert counts(cell("push", "apart"), known) is None
    assert counts(cell("none", "apart"), known) is True


SEEN = tuple(
    Sighting(turn=turn, device=device, is_attacking=device == 0, refused=device == 0 and turn > 4, quarantined=False)
    for turn in (4, 5)
    for device in range(3)
)


def test_a_row_has_the_cells_figures_and_its_command() -> None:
    guarded = cell("push", "apart", seed=2)
    known = found(result(cell("none", seed=2), 0.9), result(guarded.averaged, 0.5), result(guarded, 0.88, 0.1, SEEN))
    row = {one.cell: one for one in rows(known, catalogue())}[guarded].to_json()
    assert (row["counts"], row["points_lost"], row["clean_accuracy"]) == (True, 2.0, 0.9)
    assert (row["true_positive_rate"], row["false_positive_rate"]) == (0.5, 0.0)
    assert (row["attackers"], row["attackers_caught"], row["slowest_quarantine"]) == (1, 0, None)
    assert row["command"] == (
        "ztfm evaluate --task tiny --attack push --defence apart --skew 0.5 --share 0.2 --seeds 2"
    )


def test_masked_bytes_are_of_as_many_updates_of_the_same_values() -> None:
    (row,) = rows(found(result(cell("push"), 0.5)), catalogue())
    # 1,024 bytes in two updates: 128 values each.
    assert row.to_json()["masked_bytes_a_round"] == 2 * masked_bytes(128)
    nobody = result(cell("push"), 0.5).model_copy(update={"updates_a_round": 0.0, "bytes_a_round": 0.0})
    (row,) = rows(found(nobody), catalogue())
    assert row.masked_bytes_a_round == 0.0


def test_a_defence_that_refuses_nobody_has_no_rates() -> None:
    (row,) = rows(found(result(cell("push"), 0.5, seen=SEEN)), catalogue())
    assert row.to_json()["true_positive_rate"] is None
    assert row.to_json()["counts"] is None


def whole(attack: str, seed: int) -> Cell:
    return cell(attack, "ztfm", seed)


def test_every_target_that_is_missed_is_named_and_harmless_attacks_miss_none() -> None:
    from dataclasses import replace

    known = catalogue()
    known = replace(known, defences={**known.defences, "ztfm": known.defences["apart"]})
    wronged = Sighting(turn=4, device=1, quarantined=True)
    results = found(
        result(cell("none"), 0.9),
        result(cell("push"), 0.9, 0.9),
        result(cell("harmless"), 0.9),
        result(whole("push", 0), 0.87, 0.03, SEEN),
        result(whole("harmless", 0), 0.5, 0.9, SEEN),
        result(whole("none", 0), 0.9, seen=(wronged,)),
    )
    missed = [(one.summary.cell.attack, one.target) for one in misses(summaries(rows(results, known)))]
    assert missed == [
        ("push", "true positives at least 0.97"),
        ("push", "backdoor success at the end at most 0.02"),
        ("push", "points lost at most 1"),
        ("none", "false positives at most 0.026"),
        ("none", "no honest device quarantined where nobody attacks"),
    ]


def test_tables_hold_the_same_as_lines_and_as_parquet(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    known = found(result(cell("none"), 0.9), result(cell("push"), 0.5, seen=SEEN))
    lines = [row.to_json() for row in rows(known, catalogue())]
    files = store.write(tmp_path / "it's here", lines)
    assert [json.loads(line) for line in files[0].read_text().splitlines()] == lines
    with duckdb.connect() as database:
        read = database.read_parquet(str(files[1]))
        assert [dict(zip(read.columns, values, strict=True)) for values in read.fetchall()] == lines


def test_a_seed_alone_has_the_types_of_all(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    (row,) = rows(found(result(cell("push"), 0.5)), catalogue())
    (_, file) = store.write(tmp_path, [row.to_json()])
    with duckdb.connect() as database:
        read = database.read_parquet(str(file))
        types = dict(zip(read.columns, map(str, read.types), strict=True))
    assert (types["counts"], types["ranking"], types["slowest_quarantine"]) == ("BOOLEAN", "DOUBLE", "BIGINT")
