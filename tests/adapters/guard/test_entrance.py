"""Whoever comes is let in by what it shows alone, and whoever is not is counted."""

import time
from collections.abc import Collection

import pytest

from adapters.guard import GuardReport
from adapters.guard.checkpoint import Checkpoint
from adapters.guard.entrance import Entrance
from adapters.guard.tally import Tally
from controlplane.jose.keys import jwks
from tests.adapters.conftest import AUDIENCE


def entrance(members: Collection[str] | None = None) -> Entrance:
    report = GuardReport()
    checkpoint = Checkpoint(lambda: jwks(()), "https://plane.example", AUDIENCE, time.time)
    return Entrance(report, checkpoint, Tally(report, time.time), members)


def test_names_that_are_none_are_not_invited_and_counted() -> None:
    found = entrance()
    assert found.admit(["dev-a", "two words", "dev-a", "", "dev-b\n", "dev-b"]) == ["dev-a", "dev-b"]
    assert found.report.drops == {("admit", "not_invited"): 3}


def test_of_named_members_no_other_is_invited() -> None:
    found = entrance(["dev-a"])
    assert found.admit(["dev-b", "dev-a"]) == ["dev-a"]
    assert found.report.drops["admit", "not_invited"] == 1


@pytest.mark.parametrize("length", [10, 500])
def test_what_is_left_out_is_kept_with_a_name_that_is_bounded(length: int) -> None:
    dropped = entrance().drop("gate", "absent", subject="d" * length, round_id="r-1")
    assert dropped.subject == "d" * min(length, 128)


def test_before_a_round_was_gated_there_is_no_report_of_one() -> None:
    assert entrance().latest() is None
