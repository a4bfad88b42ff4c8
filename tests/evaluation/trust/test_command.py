import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.federation.plan import QUICK
from evaluation.trust.__main__ import main
from evaluation.trust.running import Matrix
from tests.evaluation.trust.samples import CELL, CLEAN, guarded, unguarded

ONE = ["--attacks", "backdoor", "--skews", "0.5", "--seeds", "1", "--quick"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which all of one cell is known already."""
    matrix = Matrix.here(tmp_path / "quick", QUICK)
    for cell, attacked in ((CELL, True), (CLEAN, False)):
        bare = unguarded(cell, accuracy=0.8 if attacked else 0.9)
        judged = guarded(cell) if attacked else guarded(cell, accuracy=0.9, sightings=[])
        matrix.unguarded.keep(bare.model_copy(update={"revision": matrix.training}))
        matrix.guarded.keep(judged.model_copy(update={"revision": matrix.judging}))
    return tmp_path


def test_what_is_known_is_shown_without_running_anything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ONE, "--folder", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "| backdoor, boost 1 | 1 |" in shown.out
    assert "| nobody attacks | 1 |" in shown.out
    assert shown.err == ""


def test_the_json_object_holds_every_figure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*ONE, "--folder", str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is True
    clean, attacked = found["cells"]
    assert clean["true_positive_rate"] is None
    assert (attacked["clean_accuracy"], attacked["unguarded_accuracy"], attacked["guarded_accuracy"]) == (
        0.9,
        0.8,
        0.89,
    )
    assert attacked["rounds_to_quarantine"] == {"4": 3}
    assert attacked["named"] == {"4": "backdoor"}
    assert set(attacked["bars"].values()) == {True}


def test_a_missed_bar_is_the_commands_outcome(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = Matrix.here(folder / "quick", QUICK)
    matrix.guarded.keep(guarded(accuracy=0.5).model_copy(update={"revision": matrix.judging}))
    assert main([*ONE, "--folder", str(folder)]) == 1
    assert "**0.500**" in capsys.readouterr().out


def test_the_tables_go_between_the_marks_of_a_document(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "trust.md"
    path.write_text("before\n<!-- figures -->\n<!-- /figures -->\nafter\n")
    main([*ONE, "--folder", str(folder), "--document", str(path)])
    text = path.read_text()
    assert text.startswith("before\n<!-- figures -->\nOf 2 cells, 2 reached every bar.")
    assert text.endswith("<!-- /figures -->\nafter\n")


def test_another_plan_has_results_of_its_own(folder: Path) -> None:
    assert Matrix.here(folder / "quick", QUICK).missing([CELL]) == []
    assert len(Matrix.here(folder / "quick", replace(QUICK, rounds=2)).missing([CELL])) == 2


@pytest.mark.parametrize("wrong", [["--attacks", "unheard-of"], ["--seeds", "one"]])
def test_what_it_does_not_know_is_said(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(wrong)
    assert error.value.code == 2
    assert "invalid" in capsys.readouterr().err
