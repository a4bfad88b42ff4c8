"""Which cells there are, what a call picks of them, and that a grid is done in its time."""

from pathlib import Path

import pytest

from evaluation.comparison.cells import PLAIN, Cell
from evaluation.comparison.command import Options, skew, wanted
from evaluation.comparison.grids import Block, Grid
from evaluation.comparison.planned import GRIDS, LIMITS, cost
from evaluation.comparison.standard import catalogue

GRID = Grid("full", (Block(("a",), ("none", "x"), ("averaging", "d"), seeds=(0, 1)), Block(("b",), ("y",), ("d",))))
CORES, SPARE = 2, 0.8


def test_every_cell_comes_with_those_that_it_is_held_against_and_none_twice() -> None:
    cells = GRID.cells()
    assert len(cells) == len(set(cells))
    for cell in cells:
        assert {cell.averaged, cell.unharmed} <= set(cells)
    # a: none and x by two defences by two seeds; b: y by d and averaging, and plain averaging without attack, by three.
    assert len(cells) == 8 + 9


def test_who_does_not_attack_is_the_same_at_every_share_of_attackers() -> None:
    block = Block(("a",), ("none", "x"), ("d",), shares=(0.1, 0.3), seeds=(0,))
    found = {(cell.attack, cell.defence, cell.share) for cell in block.cells()}
    assert found == {
        ("none", PLAIN, 0.0), ("none", "d", 0.0),
        ("x", PLAIN, 0.1), ("x", "d", 0.1), ("x", PLAIN, 0.3), ("x", "d", 0.3),
    }  # fmt: skip


def test_a_part_of_a_grid_is_what_was_asked_for_with_plain_averaging_beside_it() -> None:
    found = GRID.only(attacks=["x"], defences=["d"], seeds=[7]).cells()
    assert {(cell.task, cell.attack, cell.defence, cell.seed) for cell in found} == {
        ("a", "none", PLAIN, 7), ("a", "x", PLAIN, 7), ("a", "x", "d", 7),
    }  # fmt: skip


def test_what_no_block_has_is_run_all_the_same() -> None:
    found = GRID.only(tasks=["b"], attacks=["x"]).cells()
    assert ("b", "x", "d") in {(cell.task, cell.attack, cell.defence) for cell in found}


@pytest.mark.parametrize("size", GRIDS)
def test_a_grid_is_done_in_its_time_on_two_cores(size: str) -> None:
    spent = sum(cost(size, cell.task, cell.defence) for cell in GRIDS[size].cells())
    assert spent / CORES <= SPARE * LIMITS[size]


@pytest.mark.parametrize("size", GRIDS)
def test_everything_in_a_grid_is_in_the_catalogue(size: str) -> None:
    known = catalogue()
    for cell in GRIDS[size].cells():
        assert cell.task in known.tasks and cell.attack in known.attacks and cell.defence in known.defences


def test_the_full_grid_tries_every_attack_that_there_is() -> None:
    assert {cell.attack for cell in GRIDS["full"].cells()} == set(catalogue().attacks)


def test_policies_of_ones_own_meet_every_attack_of_the_grid() -> None:
    cells = wanted(Options(quick=True, policies=Path("mine"))).cells()
    assert {c.attack for c in cells if c.defence == "policies"} == {c.attack for c in cells}
    alone = wanted(Options(quick=True, policies=Path("mine"), defences=("flame",))).cells()
    assert {c.defence for c in alone} == {"averaging", "flame", "policies"}


def test_a_skew_is_a_number_above_nothing_or_natural() -> None:
    assert (skew("0.1"), skew("natural")) == (0.1, None)
    for word in ("0", "-1", "nan", "much"):
        with pytest.raises(ValueError):
            skew(word)


def test_a_call_says_the_command_that_asks_for_the_same() -> None:
    options = Options(quick=True, tasks=("activity",), seeds=(1, 2), skews=(None, 0.1))
    assert options.command == ("ztfm evaluate --quick --task activity --seeds 1 --seeds 2 --skew natural --skew 0.1")


def test_names_of_cells_cannot_leave_their_folder() -> None:
    with pytest.raises(ValueError):
        Cell(task="../a", attack="x", defence="d", skew=0.5, share=0.2, seed=0)
