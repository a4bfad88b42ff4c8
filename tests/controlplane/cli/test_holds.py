"""``ztfm holds``: on the state folder itself, while a control plane serves it."""

import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli.commands import app
from tests.clocks import EarlyClock
from tests.controlplane.api.alerts import alert, told
from tests.support import ControlPlane, running, wait_until

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def served() -> Iterator[ControlPlane]:
    with running(clock=EarlyClock()) as plane:
        yield plane


@pytest.fixture
def run(served: ControlPlane) -> Run:
    return lambda *words: CliRunner().invoke(app, ["holds", *words, "--state-dir", str(served.state)])


def document(done: Result) -> Any:
    """Return what was printed as JSON; the control plane of this process may log in between."""
    assert done.exit_code == 0, done.output
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def held_by(plane: ControlPlane, fingerprint: str) -> Any:
    return told(plane, alert(plane.clock(), fingerprint=fingerprint)).expect(200)["alerts"][0]["hold"]


def test_what_is_held_is_shown_and_ended_and_the_control_plane_follows(served: ControlPlane, run: Run) -> None:
    hold = held_by(served, "1" * 16)
    assert document(run("list", "--json")) == {"holds": [hold]}
    shown = run("list").stdout
    for part in (hold["id"], "gradient_submission in homes", "ZtfmPoisoningCampaign", hold["decision_id"]):
        assert part in shown
    ended = document(run("release", hold["id"], "--reason", "A faulty batch.", "--json"))
    assert (ended["state"], ended["released_by"]) == ("released", f"local:{getpass.getuser()}")
    wait_until(lambda: len(served.services.interventions.held) == 0, 5.0)
    assert document(run("list", "--json")) == {"holds": []}
    assert document(run("list", "--all", "--json")) == {"holds": [ended]}
    assert "released by local:" in run("list", "--all").stdout


def test_what_is_not_there_or_has_no_reason_is_not_ended(served: ControlPlane, run: Run) -> None:
    hold = held_by(served, "2" * 16)
    for reason in ("", "  ", "two\nlines", "x" * 513):
        assert run("release", hold["id"], "--reason", reason).exit_code == 2
    assert run("release", hold["id"]).exit_code == 2
    none = run("release", "hold-0", "--reason", "x")
    assert none.exit_code == 1
    assert "ztfm holds list --all" in none.output
    assert document(run("list", "--json"))["holds"] == [hold]


def test_where_there_is_no_store_it_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["holds", "list", "--state-dir", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "no state folder" in done.output
