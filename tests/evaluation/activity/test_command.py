"""The command that says what the task comes to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.activity import __main__ as command
from evaluation.activity import task as tasks
from evaluation.activity.recordings import Recording
from evaluation.activity.training import QUICK


def test_it_says_a_line_of_json_for_each_seed_and_skew(
    made_up: tuple[Recording, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "load_recordings", lambda cache: made_up)
    monkeypatch.setattr(command, "QUICK", replace(QUICK, rounds=1))
    monkeypatch.setattr("sys.argv", ["activity", "--seeds", "0", "--natural", "--skews", "0.1", "--quick", "--json"])
    assert command.main() == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["seed"], one["skew"]) for one in found] == [(0, None), (0, 0.1)]
    assert all(0.0 <= one["worst_client"] <= 1.0 for one in found)


def test_without_recordings_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr("sys.argv", ["activity", "--cache", str(tmp_path)])
    assert command.main() == 1
    assert "put seglearn-1.2.5-py3-none-any.whl of PyPI into" in capsys.readouterr().err


def test_help_has_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["activity", "--help"])
    with pytest.raises(SystemExit, match="0"):
        command.main()
    assert "example: python -m evaluation.activity" in capsys.readouterr().out
