"""``ztfm authority``: authorities are listed, rotated, and replaced at once, with a control plane or without."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controlplane.cli.commands import app


def ran(state: Path, *arguments: str, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["authority", *arguments, "--state-dir", str(state), "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout) if status == 0 else result.stderr


def states(found: Any) -> list[str]:
    return [one["state"] for one in found["authorities"]]


def test_the_next_one_waits_for_its_turn_and_is_not_made_twice(tmp_path: Path) -> None:
    assert states(ran(tmp_path, "list")) == ["signing"]
    found = ran(tmp_path, "rotate")
    assert states(found) == ["signing", "published"]
    assert ran(tmp_path, "rotate") == found == ran(tmp_path, "list")


def test_at_once_leaves_nothing_of_the_others(tmp_path: Path) -> None:
    before = ran(tmp_path, "rotate")
    found = ran(tmp_path, "rotate", "--at-once")
    assert states(found) == ["signing"]
    assert found["authorities"][0]["sha256"] not in [one["sha256"] for one in before["authorities"]]


def test_they_are_of_the_trust_domain_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZTFM_TRUST_DOMAIN", "homes.example")
    assert ran(tmp_path, "list")["trust_domain"] == "homes.example"


def test_a_table_names_states_and_no_key(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["authority", "rotate", "--state-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "published" in result.stdout
    assert "PRIVATE" not in result.stdout


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    path = tmp_path / "authority.pem"
    path.touch(0o600)
    path.write_text("rubbish")
    assert "holds no authority" in ran(tmp_path, "rotate", status=1)
