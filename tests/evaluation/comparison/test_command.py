"""The command from end to end, on a task that costs nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controlplane.cli.commands import app
from evaluation.comparison import command
from evaluation.comparison.command import Options, run, told
from evaluation.comparison.grids import Block, Grid
from tests.evaluation.comparison.tiny import catalogue

TINY = Grid("quick", (Block(("tiny",), ("none", "push"), ("averaging", "apart"), seeds=(0,)),))


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setattr(command, "GRIDS", {"quick": TINY})
    monkeypatch.setattr(command, "catalogue", lambda policies: catalogue())
    monkeypatch.setattr(command, "cost", lambda size, task, defence: 1.0)
    return Options(quick=True, folder=tmp_path / "kept", report=tmp_path / "reports" / "page.html")


def test_what_is_there_is_reported_and_nothing_is_run_for_it(options: Options) -> None:
    comparison = command.Comparison(options.folder, "quick", catalogue)
    problem, nothing = run(replace(options, only_report=True))
    assert (problem, nothing["cells"], nothing["wanted"]) == ("", [], 4)
    for cell in TINY.cells():
        comparison.find(cell)
    problem, found = run(replace(options, only_report=True))
    assert (problem, len(found["cells"])) == ("", 4)
    assert all(one["command"].startswith("ztfm evaluate --quick --task tiny --attack ") for one in found["cells"])
    assert options.report.is_file()
    assert (options.folder / "tables" / "quick" / "results.jsonl").read_text().count("\n") == 4
    assert json.loads(told(found, True)) == found
    assert "4 of 4 cells" in told(found, False)


def test_a_document_without_marks_is_left_as_it_is_and_said(options: Options, tmp_path: Path) -> None:
    document = tmp_path / "plain.md"
    document.write_text("words")
    problem, _ = run(replace(options, only_report=True, document=document))
    assert "<!-- summary -->" in problem
    assert document.read_text() == "words"


def test_what_nobody_knows_is_said_with_what_there_is(options: Options) -> None:
    problem, _ = run(replace(options, attacks=("unheard_of",)))
    assert problem == "no attack is called unheard_of; there are: none, push, sleeper, harmless"
    problem, _ = run(replace(options, defences=("policies",)))
    assert "--policies FOLDER" in problem
    problem, _ = run(replace(options, policies=options.folder / "nowhere"))
    assert "no folder of policies" in problem


def test_the_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["evaluate", "--help"])
    assert done.exit_code == 0
    assert "ztfm evaluate --quick --policies policies" in done.stdout


def test_a_skew_that_is_none_is_refused_in_words() -> None:
    done = CliRunner().invoke(app, ["evaluate", "--quick", "--skew", "0"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "ztfm evaluate: a skew is above 0" in done.stderr
