"""The command: a job from a shell, stopped and gone on with."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.guard import Member
from adapters.http.__main__ import main
from tests.adapters.http.jobs import Enrol, mean_of, taking_part
from tests.support import MODEL, ControlPlane


@pytest.fixture
def command(plane: ControlPlane, tmp_path: Path, state: dict[str, Tensor]) -> list[str]:
    keys = tmp_path / "aggregator"
    token = plane.token(["aggregator"], "core")
    Member.enrol(keys, plane.url, token, roles=["aggregator"], segment="core").close()
    save_file(state, tmp_path / "initial.safetensors")
    given = {
        "keys": str(keys),
        "state": str(tmp_path / "job"),
        "model": MODEL,
        "weights": str(tmp_path / "initial.safetensors"),
        "listen": "127.0.0.1:0",
        "least": "5",
        "gather": "0",
        "seconds": "60",
        "archive": str(tmp_path / "archive"),
    }
    return [sys.executable, "-m", "adapters.http", "--json", *(f"--{name}={value}" for name, value in given.items())]


def until(stream: IO[str], pattern: str) -> str:
    """Read lines until one matches, and return what matched."""
    for line in stream:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(f"no line matches {pattern}")


def test_a_job_is_stopped_with_ctrl_c_and_goes_on(
    command: list[str], enrol: Enrol, state: dict[str, Tensor], tmp_path: Path
) -> None:
    members = [enrol("trainer") for _ in range(5)]
    with subprocess.Popen([*command, "--rounds=2"], stdout=-1, stderr=-1, text=True) as first:
        assert first.stderr is not None
        url = until(first.stderr, "listening at (.*)")
        with taking_part(members, url, tmp_path, {1: _asleep_in_the_second(first)}):
            said = json.loads(first.communicate(timeout=120)[0])
    assert first.returncode == 130
    assert (said["finished"], said["rounds_finished"]) == (False, 1)
    once = mean_of(state, [0, 1, 2, 3, 4])
    with subprocess.Popen([*command, "--rounds=2"], stdout=-1, stderr=-1, text=True) as second:
        assert second.stderr is not None
        url = until(second.stderr, "listening at (.*)")
        with taking_part(members, url, tmp_path, {}):
            lines, progress = second.communicate(timeout=120)
    said = json.loads(lines)
    assert second.returncode == 0, progress
    assert (said["finished"], said["rounds_finished"], said["rounds"][0]["accepted"]) == (True, 2, 5)
    assert "round 2 of 2: 5 of 5 updates accepted" in progress
    after = mean_of(once, [10, 11, 12, 13, 14])
    torch.testing.assert_close(load_file(Path(said["weights"]))["weight"], after["weight"])


def _asleep_in_the_second(process: "subprocess.Popen[str]"):  # type: ignore[no-untyped-def]
    """Return what trains in the first round and presses Ctrl-C in the second."""
    from tests.adapters.http.jobs import honest

    def train(weights: Path, update: Path, now):  # type: ignore[no-untyped-def]
        if now.document["finished"]:
            process.send_signal(signal.SIGINT)
        return honest(1)(weights, update, now)

    return train


def test_what_cannot_begin_says_why(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [text for text in command[3:] if not text.startswith("--weights")]
    assert main([*given, f"--weights={tmp_path / 'none'}"]) == 1
    assert "cannot be read as a safetensors file" in capsys.readouterr().err
    members = tmp_path / "members.txt"
    members.write_text("no name!\n")
    assert main([*command[3:], f"--members={members}"]) == 1
    assert "one device a line" in capsys.readouterr().err
    assert main([*command[3:], "--public-url=aggregator.example"]) == 1
    assert "no absolute URL" in capsys.readouterr().err
    assert main([*command[3:], f"--keys={tmp_path}"]) == 1
    assert "enrol the device first" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "Example: python -m adapters.http" in shown
    assert "--json" in shown
