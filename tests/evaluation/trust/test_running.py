"""Which federations are run, by whom, and that nothing is run twice."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.federation.plan import QUICK
from evaluation.smart_home.task import ALPHA, Task
from evaluation.smart_home.training import LocalTraining
from evaluation.trust.results import Cell, Result
from evaluation.trust.rows import rows
from evaluation.trust.running import KINDS, Matrix, Unit, shares
from tests.evaluation.trust.samples import CELL, CLEAN, guarded, unguarded

SMALL = replace(QUICK, rounds=1, local=LocalTraining(examples=8))

units = st.builds(
    lambda scenario, skew, seed, kind: (Cell(scenario=scenario, skew=skew, seed=seed), kind),
    st.sampled_from(["none", "backdoor", "sybil"]),
    st.sampled_from([0.1, 0.5]),
    st.integers(0, 3),
    st.sampled_from(KINDS),
)


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return Matrix(tmp_path, SMALL, "r", "r")


@settings(deadline=None)
@given(units=st.lists(units, unique_by=str), processes=st.integers(1, 4))
def test_every_federation_is_in_one_share_and_a_share_is_of_one_skew_and_seed(
    units: list[Unit], processes: int
) -> None:
    found = shares(units, processes)
    assert sorted(map(str, (unit for share in found for unit in share))) == sorted(map(str, units))
    assert all(len({(cell.skew, cell.seed) for cell, _ in share}) == 1 for share in found)
    fields = len({(cell.skew, cell.seed) for cell, _ in units})
    assert len(found) == fields if fields >= processes else len(found) >= fields


def test_the_federations_of_one_skew_and_seed_are_split_where_there_are_processes_for_it() -> None:
    of_one = [(CELL.model_copy(update={"scenario": name}), "unguarded") for name in ("a", "b", "c")]
    assert [len(share) for share in shares(of_one, 2)] == [2, 1]


def test_what_there_are_results_of_is_not_missing(matrix: Matrix) -> None:
    assert matrix.missing([CELL]) == [(CELL, "unguarded"), (CELL, "guarded")]
    matrix.unguarded.keep(unguarded())
    assert matrix.missing([CELL]) == [(CELL, "guarded")]
    matrix.guarded.keep(guarded())
    assert matrix.missing([CELL]) == []


def test_judging_by_other_rules_leaves_the_unguarded_results_standing(matrix: Matrix) -> None:
    matrix.unguarded.keep(unguarded())
    matrix.guarded.keep(guarded())
    assert replace(matrix, judging="other").missing([CELL]) == [(CELL, "guarded")]
    assert len(replace(matrix, training="other").missing([CELL])) == 1


def test_a_row_is_there_once_all_of_it_is(matrix: Matrix) -> None:
    matrix.unguarded.keep(unguarded())
    matrix.guarded.keep(guarded())
    assert rows(matrix, [CELL]) == []
    matrix.unguarded.keep(unguarded(CLEAN, accuracy=0.9))
    (row,) = rows(matrix, [CELL])
    assert row.harm == 10.0
    assert row.to_json()["guarded_peak_asr"] == 0.3


def test_federations_run_in_processes_of_their_own_once_and_what_keeps_one_from_running_is_raised(
    matrix: Matrix, task: Task
) -> None:
    told: list[Result] = []
    clean = CLEAN.model_copy(update={"seed": task.seed})
    unheard = clean.model_copy(update={"scenario": "unheard-of"})
    # What the frozen encoder yields for this seed and skew is there already.
    assert clean.skew == ALPHA
    assert task.trunk._cache is not None
    (matrix.folder / "trunk").symlink_to(task.trunk._cache)
    with pytest.raises(KeyError, match="unheard-of"):
        matrix.run([(clean, "unguarded"), (unheard, "unguarded")], 1, told.append)
    assert [result.cell for result in told] == [clean]
    assert matrix.unguarded.find(clean) == told[0]
    assert matrix.missing([clean]) == [(clean, "guarded")]
