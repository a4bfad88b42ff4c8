"""Enrolling from a shell: the token comes through a pipe, and nothing repeats it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.member import Member
from tests.support import ControlPlane


def enrol(plane: ControlPlane, folder: Path, token: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adapters.enrol", str(folder), plane.url, "--role", "consumer", "--segment", *more]
    return subprocess.run(command, input=token, capture_output=True, text=True, timeout=60, check=False)


def test_a_device_is_enrolled_and_opened_after_that(plane: ControlPlane, tmp_path: Path) -> None:
    result = enrol(plane, tmp_path / "device", plane.token(["consumer"], "homes") + "\n", "homes", "--json")
    with Member.open(tmp_path / "device") as member:
        assert json.loads(result.stdout) == {"id": member.id, "folder": str(tmp_path / "device")}


@pytest.mark.parametrize(
    ("token", "segment"),
    [("", "homes"), ("ztfm-enrol-nobody", "homes"), ("ztfm-enrol-nobody", "NO WORD"), ("x" * 9000, "homes")],
)
def test_a_failure_says_why_and_not_the_token(plane: ControlPlane, tmp_path: Path, token: str, segment: str) -> None:
    result = enrol(plane, tmp_path / "device", token, segment)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("adapters.enrol: ")
    assert "Traceback" not in result.stderr
    assert not token or token[:100] not in result.stderr


@pytest.mark.parametrize(
    ("token", "segment", "said"),
    [("", "homes", "ztfm tokens issue"), ("ztfm-enrol-nobody", "NO WORD", "--segment"), ("", "NO WORD", "; ")],
)
def test_what_does_not_fit_is_named_and_nothing_else_is(
    plane: ControlPlane, tmp_path: Path, token: str, segment: str, said: str
) -> None:
    result = enrol(plane, tmp_path / "device", token, segment)
    assert said in result.stderr
    assert ("no enrolment token" in result.stderr) == (token == "")


def test_a_token_that_nobody_issued_is_said_first_with_its_remedy(plane: ControlPlane, tmp_path: Path) -> None:
    result = enrol(plane, tmp_path / "device", "ztfm-enrol-nobody", "homes")
    assert "token_valid: " in result.stderr
    assert "May follow from it: roles_granted" in result.stderr
