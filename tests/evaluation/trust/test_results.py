from pathlib import Path

import pytest

from evaluation.trust.results import Guarded, Shelf, Unguarded
from tests.evaluation.trust.samples import CELL, CLEAN, guarded, unguarded


def test_what_was_kept_is_found_as_it_was(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Guarded, "r")
    assert shelf.find(CELL) is None
    shelf.keep(guarded())
    assert Shelf(tmp_path, Guarded, "r").find(CELL) == guarded()
    assert shelf.find(CLEAN) is None
    assert list(tmp_path.rglob("*.partial")) == []


def test_what_was_found_with_other_code_is_not_found(tmp_path: Path) -> None:
    Shelf(tmp_path, Unguarded, "r").keep(unguarded())
    assert Shelf(tmp_path, Unguarded, "another").find(CELL) is None


def test_results_of_another_kind_are_kept_apart(tmp_path: Path) -> None:
    Shelf(tmp_path, Unguarded, "r").keep(unguarded())
    assert Shelf(tmp_path, Guarded, "r").find(CELL) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cell": 1}', '{"unheard": "of"}'])
def test_a_file_that_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path, content: str) -> None:
    shelf = Shelf(tmp_path, Unguarded, "r")
    shelf.keep(unguarded())
    (file,) = tmp_path.rglob("*.json")
    file.write_text(content)
    assert shelf.find(CELL) is None


def test_a_result_under_the_name_of_another_cell_is_not_taken_for_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Unguarded, "r")
    shelf.keep(unguarded())
    (file,) = tmp_path.rglob("*.json")
    file.rename(file.with_name("none-0.5-1.json"))
    assert shelf.find(CLEAN) is None
