"""``ztfm privacy``: what was spent, on the store itself, and what rounds would cost, with nothing running."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli.commands import app
from tests.controlplane.api.noising import DATA_SET, noising
from tests.support import MODEL, Caller, ControlPlane, running

pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noising(tmp_path_factory.mktemp("noising"))


@pytest.fixture(scope="module")
def served(policies: Path) -> Iterator[ControlPlane]:
    with running(policies=policies) as plane:
        yield plane


@pytest.fixture(scope="module")
def spender(served: ControlPlane) -> Caller:
    """A device that was granted three submissions, and has no budget for a fourth."""
    device, aggregator = served.enrol("trainer"), served.enrol("aggregator")
    aggregator.open_round("round-1", [device])
    for _ in range(3):
        device.capability("gradient_submission", round_id="round-1").expect(201)
    return device


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["privacy", *words])


def document(done: Result) -> Any:
    """Return what was printed as JSON; the control plane of this process may log in between."""
    assert done.exit_code == 0, done.output
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def test_a_devices_and_a_data_sets_accounts_are_shown(served: ControlPlane, policies: Path, spender: Caller) -> None:
    where = ("--state-dir", str(served.state), "--policies", str(policies))
    found = document(run("show", spender.id, "--json", *where))
    [account] = found["accounts"]
    assert (account["data_set"], account["charges"], account["known"]) == (DATA_SET, 3, True)
    assert account["epsilon_spent"] == account["epsilon_ever"] == pytest.approx(0.908, abs=1e-3)
    whole = document(run("show", DATA_SET, "--json", *where))
    assert (whole["devices"], whole["accounts"]) == (1, [account])
    shown = run("show", DATA_SET, *where)
    for part in (spender.id[:12], "0.908", "1 in 7 d", "91%"):
        assert part in shown.stdout


def test_what_nobody_spent_anything_of_is_said_to_be_that(served: ControlPlane, policies: Path) -> None:
    done = run("show", "unheard-of", "--state-dir", str(served.state), "--policies", str(policies))
    assert done.exit_code == 1
    assert "is no device, and no data set" in done.output


def test_what_a_plan_costs_is_computed_and_what_its_budget_buys(policies: Path) -> None:
    found = document(run("plan", "--model", MODEL, "--rounds", "5", "--policies", str(policies), "--json"))
    assert (found["rounds_affordable"], found["noise_multiplier"], found["window_days"]) == (3, 16.0, 7)
    assert [one["rounds"] for one in found["costs"]] == [1, 2, 5]
    assert found["costs"][-1]["epsilon"] > 1.0
    assert 16.0 < found["noise_needed"] < 32.0
    enough = document(
        run(
            "plan",
            "--model",
            MODEL,
            "--noise",
            str(found["noise_needed"]),
            "--rounds",
            "5",
            "--json",
            "--policies",
            str(policies),
        )
    )
    assert enough["rounds_affordable"] == 5
    shown = run("plan", "--model", MODEL, "--policies", str(policies)).stdout
    assert "epsilon 1 buys 3 rounds in 7 days" in shown


def test_a_plan_of_ones_own_needs_no_policies() -> None:
    done = run(
        "plan", "--mode", "central", "--noise", "8", "--delta", "1e-6", "--epsilon", "2", "--rounds", "10", "--json"
    )
    found = document(done)
    assert (found["mode"], found["window_days"]) == ("central", None)
    assert found["rounds_affordable"] > 10


@pytest.mark.parametrize(
    "words", [(), ("--noise", "4"), ("--model", "unheard-of"), ("--epsilon", "1", "--delta", "0.1")]
)
def test_a_plan_that_is_not_whole_says_what_is_missing(words: tuple[str, ...]) -> None:
    done = run("plan", *words)
    assert done.exit_code == 2
    assert "ztfm privacy plan:" in done.output


def test_a_folder_without_plans_is_named(tmp_path: Path) -> None:
    done = run("plan", "--model", MODEL, "--policies", str(tmp_path))
    assert done.exit_code == 1
    assert "cannot be read" in done.output
