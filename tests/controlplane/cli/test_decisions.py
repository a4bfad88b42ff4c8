"""``ztfm decisions``: found by every filter, followed, shown with their facts; on the store or over the API."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli import sources_served
from controlplane.cli.commands import app
from controlplane.cli.decisions import new_ones
from controlplane.cli.sources_stored import StoredRecords
from controlplane.contracts.decision import Decision, DecisionQuery
from tests.controlplane.cli.operators import enrol
from tests.controlplane.cli.processes import ZTFM
from tests.support import Caller, ControlPlane, running

Run = Callable[..., Result]

TOKENS = {"prompt_tokens": 1, "max_output_tokens": 1}


@pytest.fixture(scope="module")
def served() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def device(served: ControlPlane) -> Caller:
    """A device that was allowed twice, then set apart and denied twice."""
    found, operator = served.enrol("consumer"), served.enrol("operator")
    for status in (201, 403):
        assert [found.capability("inference", inference=TOKENS).status for _ in range(2)] == [status] * 2
        change = {"status": "quarantined", "reason": "looked odd"}
        operator.post(f"/v1/devices/{found.id}/status", change).expect(200)
    return found


@pytest.fixture(scope="module")
def key(served: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return enrol(served, tmp_path_factory.mktemp("operator"), "operator")


@pytest.fixture(params=["store", "api"])
def run(request: pytest.FixtureRequest, served: ControlPlane, key: Path) -> Run:
    """Run the command on the store, and over the API."""
    where = ["--state-dir", str(served.state)] if request.param == "store" else ["--key", str(key)]
    return lambda *words: CliRunner().invoke(app, ["decisions", *words, *where], env={"COLUMNS": "40"})


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    done = run("list", *words, "--json")
    assert done.exit_code == 0, done.output
    return list(json.loads(done.stdout)["decisions"])


def test_each_filter_narrows(run: Run, device: Caller) -> None:
    mine = ("--subject", device.id)
    asked = listed(run, *mine, "--action", "inference")
    assert [one["outcome"] for one in asked] == ["deny", "deny", "allow", "allow"]
    assert listed(run, *mine, "--outcome", "deny") == asked[:2]
    assert listed(run, *mine, "--reason", "subject_active") == asked[:2]
    assert listed(run, *mine, "--reason", "trust_sufficient") == []
    assert listed(run, *mine, "--resource", "smart-home-intents") == asked
    assert listed(run, *mine, "--resource", "another-model") == []
    assert listed(run, *mine, "--action", "inference", "--revision", asked[0]["policy_revision"]) == asked
    assert listed(run, *mine, "--revision", "another") == []
    assert listed(run, *mine, "--since", "1h", "--limit", "1") == asked[:1]
    assert listed(run, *mine, "--until", "1h") == []


def test_that_there_are_more_is_said_and_how_to_go_on(run: Run, device: Caller) -> None:
    some = run("list", "--subject", device.id, "--limit", "2", "--json")
    assert json.loads(some.stdout)["more"]
    shown = run("list", "--subject", device.id, "--limit", "2")
    assert "there are more: --limit, or go on with --until 20" in shown.stderr
    nothing = run("list", "--subject", "dev-nobody")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "no decision is on record that fits" in nothing.stderr


def test_a_line_holds_the_whole_id_on_any_terminal(run: Run, device: Caller) -> None:
    newest = listed(run, "--subject", device.id, "--outcome", "deny")[0]
    [line, _] = run("list", "--subject", device.id, "--outcome", "deny").stdout.splitlines()
    assert f"deny   {newest['id']}  inference on smart-home-intents by {device.id}: subject_active" in line


def test_a_decision_is_shown_with_its_facts_and_how_to_go_on(run: Run, device: Caller) -> None:
    newest = listed(run, "--subject", device.id, "--outcome", "deny")[0]
    shown = run("show", newest["id"]).stdout
    assert shown.startswith(f"{newest['id']}: deny, ")
    assert "missing subject_active: " in shown
    assert "Remedy: " in shown
    assert shown.splitlines()[-1] == f"why: ztfm policy explain {newest['id']}"
    whole = json.loads(run("show", newest["id"], "--json").stdout)
    assert whole["facts"]["subject"]["id"] == device.id


@pytest.mark.parametrize("name", ["dec-" + "0" * 32, "no-id", "a\0b"])
def test_a_decision_that_is_not_there_is_said(run: Run, name: str) -> None:
    done = run("show", name)
    assert done.exit_code == 1
    assert "there is no decision" in done.stderr
    assert "ztfm decisions list" in done.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--since", "yesterday"], "neither a date"),
        (["--reason", "Not A Code"], "--reason"),
        (["--follow", "--until", "1h"], "leave --until out"),
    ],
)
def test_a_filter_that_does_not_fit_is_said(run: Run, words: list[str], what: str) -> None:
    done = run("list", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert what in done.stderr


def test_pages_of_the_api_are_put_together_and_bounded(
    served: ControlPlane, device: Caller, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_served, "_PAGE", 1)
    words = ["decisions", "list", "--subject", device.id, "--key", str(key), "--json"]
    everything = json.loads(CliRunner().invoke(app, words).stdout)
    assert len(everything["decisions"]) >= 4
    assert len({one["id"] for one in everything["decisions"]}) == len(everything["decisions"])
    monkeypatch.setattr(sources_served, "MAX_PAGES", 2)
    some = json.loads(CliRunner().invoke(app, words).stdout)
    assert some == {"decisions": everything["decisions"][:2], "more": True}


def test_whom_policy_does_not_let_read_them_is_told_what_is_missing(served: ControlPlane, tmp_path: Path) -> None:
    barred = CliRunner().invoke(app, ["decisions", "list", "--key", str(enrol(served, tmp_path, "trainer"))])
    assert barred.exit_code == 1
    assert "/v1/decisions is answered with 403." in barred.stderr
    assert "Traceback" not in barred.stderr


def test_new_ones_are_followed_once_each_oldest_first(served: ControlPlane, device: Caller) -> None:
    following = new_ones(StoredRecords(served.store), DecisionQuery(subject=device.id), 1)

    async def following_one() -> Decision:
        return await anext(following)

    newest = served.run(following_one())
    for _ in range(3):
        assert device.capability("inference", inference=TOKENS).status == 403
    found = [served.run(following_one()) for _ in range(3)]
    assert {one.subject for one in found} == {device.id}
    assert len({one.id for one in [newest, *found]}) == 4
    assert [one.time for one in [newest, *found]] == sorted(one.time for one in [newest, *found])


def test_over_the_api_the_looking_itself_is_not_followed_and_ctrl_c_ends_it(
    served: ControlPlane, device: Caller, key: Path
) -> None:
    command = [*ZTFM, "decisions", "list", "--follow", "--limit", "5", "--json", "--key", str(key)]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        found = [json.loads(following.stdout.readline())]
        wanted = device.capability("inference", inference=TOKENS).json["decision_id"]
        while found[-1]["id"] != wanted:
            found.append(json.loads(following.stdout.readline()))
        me = json.loads((key / "identity.json").read_text())["id"]
        assert not [one for one in found if (one["action"], one["subject"]) == ("decision:list", me)]
        following.send_signal(signal.SIGINT)
        rest, errors = following.communicate(timeout=30)
        assert (following.returncode, rest, errors) == (0, "", "")
    finally:
        following.kill()
        following.communicate()
