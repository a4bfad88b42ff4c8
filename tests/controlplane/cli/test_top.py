"""``ztfm top`` looks at a real control plane: once, again and again, in a terminal, and while it is away."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli.commands import app
from tests.controlplane.api.cohorts import Cohort
from tests.controlplane.cli.operators import enrol
from tests.controlplane.cli.processes import ZTFM, serve
from tests.controlplane.cli.terminals import in_terminal
from tests.servers.ports import free_port
from tests.support import Caller, ControlPlane, running

TOKENS = {"prompt_tokens": 1, "max_output_tokens": 1}
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def served() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def refused(served: ControlPlane) -> Caller:
    """A device that was allowed and then set apart, after a round of others."""
    Cohort(served, served.enrol("aggregator"), 3).round()
    device, operator = served.enrol("consumer"), served.enrol("operator")
    device.capability("inference", inference=TOKENS).expect(201)
    change = {"status": "quarantined", "reason": "looked odd"}
    operator.post(f"/v1/devices/{device.id}/status", change).expect(200)
    assert device.capability("inference", inference=TOKENS).status == 403
    return device


@pytest.fixture
def top(served: ControlPlane) -> Callable[..., Result]:
    def run(*words: str, **environment: str) -> Result:
        where = ["--url", served.url, "--state-dir", str(served.state), "--interval", "0.5"]
        return CliRunner().invoke(app, ["top", *where, *words], env={"COLUMNS": "160", **environment})

    return run


def test_it_shows_what_was_decided_who_is_trusted_and_which_rounds_there_were(
    top: Callable[..., Result], refused: Caller
) -> None:
    done = top("--once", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    totals = {(one["action"], one["outcome"]): one["total"] for one in found["decisions"]}
    assert totals["inference", "allow"] >= 1
    assert totals["gradient_submission", "allow"] >= 3
    assert ("inference", "subject_active") in {(one["action"], one["reason"]) for one in found["reasons"]}
    assert (found["ready"], found["wrong"], found["engine"]["name"]) == (True, [], "opa")
    assert found["policy_revision"]
    assert found["window_seconds"] == pytest.approx(0.5, abs=0.45)
    assert refused.id in {one["subject"] for one in found["least"]}
    scores = [one["trust"]["score"] for one in found["least"]]
    assert scores == sorted(scores)
    assert {one["accepted"] for one in found["rounds"]} == {3}
    assert found["denied"][0]["subject"] == refused.id


def test_a_frame_has_no_control_codes_and_says_how_to_go_on(top: Callable[..., Result], refused: Caller) -> None:
    done = top("--once", FORCE_COLOR="1", TERM="xterm-256color")
    assert done.exit_code == 0, done.output
    assert ESCAPE not in done.stdout
    assert "nothing is wrong now" in done.stdout
    assert refused.id in done.stdout
    command = done.stdout.splitlines()[-1].removeprefix("why: ")
    assert command.startswith("ztfm policy explain dec-")


def test_over_the_api_an_operator_sees_the_same_and_nobody_else_sees_it(
    served: ControlPlane, refused: Caller, tmp_path: Path
) -> None:
    def over(role: str) -> Any:
        words = ["top", "--once", "--json", "--interval", "0.5", "--key", str(enrol(served, tmp_path / role, role))]
        return json.loads(CliRunner().invoke(app, words).stdout.splitlines()[-1])

    found = over("operator")
    assert (found["wrong"], found["ready"], found["place"]) == ([], True, served.url)
    assert refused.id in {one["subject"] for one in found["least"]}
    assert found["denied"]
    assert found["rounds"]
    barred = over("trainer")
    assert (barred["decisions"], barred["least"], barred["rounds"], barred["denied"]) == ([], [], [], [])
    assert len(barred["wrong"]) >= 3
    assert all("is answered with 403" in one["what"] for one in barred["wrong"])


def test_where_every_proof_must_bear_a_nonce_it_is_given_one(tmp_path: Path) -> None:
    with running(dpop_nonce="always") as plane:
        operator = enrol(plane, tmp_path / "operator", "operator")
        done = CliRunner().invoke(app, ["top", "--once", "--json", "--interval", "0.5", "--key", str(operator)])
    assert json.loads(done.stdout.splitlines()[-1])["wrong"] == []


def test_what_the_command_line_names_wrongly_is_said_with_a_remedy(served: ControlPlane, tmp_path: Path) -> None:
    def told(*words: str) -> str:
        done = CliRunner().invoke(app, ["top", "--once", *words])
        assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
        return done.stderr

    assert "python -m adapters.enrol" in told("--key", str(tmp_path / "nobody"))
    assert "name one who asks" in told("--key", "a", "--token-file", "b")
    assert "--state-dir" in told("--state-dir", str(tmp_path / "nowhere"))
    assert "serve the state folder once" in told("--state-dir", str(tmp_path))
    (tmp_path / "token").write_text("two\nlines")
    assert "holds no token" in told("--token-file", str(tmp_path / "token"))


def test_where_nobody_serves_it_says_so_and_fails(served: ControlPlane, refused: Caller) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    words = ["top", "--once", "--json", "--interval", "0.5", "--url", nowhere, "--state-dir", str(served.state)]
    done = CliRunner().invoke(app, words)
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (found["answers"], found["ready"], found["decisions"]) == (False, None, [])
    assert [one["what"] for one in found["wrong"]] == [f"nothing at {nowhere} answers: Connection refused"]
    assert found["denied"], "what is on record is there whether or not it is served"


def test_in_a_terminal_q_ends_it_and_leaves_the_terminal_as_it_was(served: ControlPlane, refused: Caller) -> None:
    where = ("--url", served.url, "--state-dir", str(served.state), "--interval", "0.5")
    with in_terminal("top", *where) as terminal:
        terminal.wait_for(b"q ends")
        terminal.wait_for(b"q ends")
        assert b"\x1b[?1049h" in terminal.shown, "on a screen of its own"
        assert b"\x1b[1;32mready" in terminal.shown
        assert not terminal.is_as_before
        terminal.press(b"q")
        assert terminal.ended() == 0
        assert terminal.shown.endswith(b"\x1b[?25h\x1b[?1049l"), "the cursor and the screen are back"
        assert terminal.is_as_before


def test_no_color_is_heeded_also_on_a_narrow_terminal_and_ctrl_c_ends_it_too(
    served: ControlPlane, refused: Caller
) -> None:
    where = ("--url", served.url, "--state-dir", str(served.state), "--interval", "0.5")
    with in_terminal("top", *where, columns=60, rows=24, NO_COLOR="1") as terminal:
        terminal.wait_for(b"why: ")
        terminal.press(b"\x03")
        assert terminal.ended() == 0
        assert terminal.shown.endswith(b"\x1b[?25h\x1b[?1049l")
        assert terminal.is_as_before
    assert b"Traceback" not in terminal.shown
    assert re.search(rb"\x1b\[(\d+;)*[349]\dm", terminal.shown) is None


def test_on_a_dumb_terminal_each_reading_follows_the_one_before(served: ControlPlane) -> None:
    where = ("--url", served.url, "--state-dir", str(served.state), "--interval", "0.5")
    with in_terminal("top", *where, TERM="dumb") as terminal:
        terminal.wait_for(b"ztfm top")
        terminal.wait_for(b"ztfm top")
        terminal.press(b"\x03")
        assert terminal.ended() == 0
    assert ESCAPE.encode() not in terminal.shown


def test_a_control_plane_that_goes_away_and_comes_back_is_shown(state: Path) -> None:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    command = [*ZTFM, "top", "--json", "--interval", "0.5", "--url", url, "--state-dir", str(state)]

    def until(watching: "subprocess.Popen[str]", *, answers: bool) -> Any:
        assert watching.stdout is not None
        for line in watching.stdout:
            if (found := json.loads(line))["answers"] is answers:
                return found
        raise AssertionError("it ended")

    with serve(state, "--port", port):
        watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert until(watching, answers=True)["back_since"] is None
    try:
        away = until(watching, answers=False)
        assert (away["ready"], away["decisions"], away["engine"]) == (None, [], None)
        assert url in away["wrong"][0]["what"]
        with serve(state, "--port", port):
            back = until(watching, answers=True)
            assert (back["away_since"], back["window_seconds"]) == (None, None)
            assert back["back_since"] >= away["away_since"]
            watching.terminate()
            _, errors = watching.communicate(timeout=10)
            assert (watching.returncode, errors) == (0, "")
    finally:
        watching.kill()
        watching.communicate()
