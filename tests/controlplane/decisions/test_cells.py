"""Cells change in one step, and are no more than there is room for."""

import pytest

from controlplane.decisions.cells import OwnCells


def test_a_change_sees_what_was_there_and_answers() -> None:
    cells = OwnCells(2)
    assert cells.look("a") is None
    assert cells.change("a", lambda cell: (cell, (1.0, 2.0))) is None
    assert cells.change("a", lambda cell: (cell, (3.0, 4.0))) == (1.0, 2.0)
    assert cells.look("a") == (3.0, 4.0)


def test_the_name_that_was_changed_longest_ago_goes() -> None:
    cells = OwnCells(2)
    for name in ("a", "b", "a", "c"):
        cells.change(name, lambda _: (None, (1.0,)))
    assert len(cells) == 2
    assert cells.look("b") is None


def test_work_that_fails_changes_nothing() -> None:
    cells = OwnCells(2)
    cells.change("a", lambda _: (None, (1.0,)))
    with pytest.raises(ZeroDivisionError):
        cells.change("a", lambda _: (1 // 0, (2.0,)))
    assert cells.look("a") == (1.0,)
