"""``ztfm adapter``: what the kit found, for people and for programs. The kit itself is tested in tests/adapters."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from adapters.conformance.cases import CASES
from tests.controlplane.cli.test_commands import HEAVY, python

WRONG = "tests.adapters.conformance.wrong"

Quick = Callable[..., Result]


def test_the_cases_are_listed_with_what_must_hold(quick: Quick) -> None:
    found = json.loads(quick("adapter", "check", "--list", "--json").stdout)["cases"]
    assert [one["name"] for one in found] == [case.name for case in CASES]
    assert all(one["what"] and one["must"] for one in found)
    assert "sign-flip" in quick("adapter", "check", "--list").stdout


def test_the_cases_are_listed_without_torch() -> None:
    done = python(
        HEAVY,
        "import sys\nsys.argv = ['ztfm', 'adapter', 'check', '--list']\nfrom controlplane.cli import main\nmain()\n",
    )
    assert done.returncode == 0, done.stderr
    assert "sign-flip" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "which MODULE"),
        (["adapters.errors", "--case", "sign-flop"], "there is no case 'sign-flop'"),
        (["adapters.errors", "--python", "/no/such/python"], "/no/such/python"),
        (["no_such_backend"], "No module named 'no_such_backend'"),
    ],
)
def test_what_keeps_the_kit_from_working_is_no_verdict(quick: Quick, arguments: list[str], why: str) -> None:
    done = quick("adapter", "check", *arguments)
    assert done.exit_code == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_case_that_fails_is_shown_with_why_and_ends_with_1(quick: Quick) -> None:
    cases = ["--case", "failing", "--case", "twin"]
    done = quick("adapter", "check", f"{WRONG}.lets_a_client_stop_it", *cases, "--json")
    assert done.exit_code == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["ok"], [one["verdict"] for one in found["cases"]]) == (False, ["not applicable", "failed"])
    assert "the job was stopped: RuntimeError" in found["cases"][1]["faults"][0]
    assert "failed         failing: the job was stopped" in done.stderr


def test_a_backend_that_keeps_its_cases_ends_with_0(quick: Quick) -> None:
    done = quick("adapter", "check", "adapters.conformance.backends.pytorch", "--case", "honest")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "1 held, 0 failed, 0 not applicable" in done.stdout
