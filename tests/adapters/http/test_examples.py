"""Clients in other languages, at a real aggregator and a real control plane."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.guard import Guard, Member
from tests.adapters.http.jobs import QUICK, Enrol, running_job, taking_part
from tests.support import ControlPlane

EXAMPLES = Path(__file__).parents[3] / "examples" / "http_clients"


@pytest.fixture
def member_key(plane: ControlPlane, tmp_path: Path) -> tuple[str, Path]:
    """The name and key file of an enrolled device."""
    folder = tmp_path / "elsewhere"
    with Member.enrol(folder, plane.url, plane.token(["trainer"], "homes")) as member:
        return member.id, folder / "key.pem"


def run_beside_four(
    plane: ControlPlane,
    guard: Guard,
    enrol: Enrol,
    state: dict[str, Tensor],
    folder: Path,
    command: Callable[[str], list[str]],
) -> dict[str, object]:
    """Run a client as the fifth member of a round, and return what it printed."""
    others = [enrol("trainer") for _ in range(4)]
    bounds = replace(QUICK, least_members=5, round_seconds=60.0)
    with (
        running_job(plane, guard, folder / "a", state, bounds=bounds) as job,
        taking_part(others, job.url, folder, {}),
    ):
        done = subprocess.run(command(job.url), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        ended = job.result(90.0)
    assert ended.rounds[0].accepted == 5, ended.rounds[0].drops
    assert float((ended.state["weight"] - state["weight"]).mean()) == pytest.approx(0.1, abs=0.02)
    assert torch.isfinite(ended.state["bias"]).all()
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
def test_a_shell_with_curl_and_openssl_takes_part(
    plane: ControlPlane,
    guard: Guard,
    enrol: Enrol,
    state: dict[str, Tensor],
    tmp_path: Path,
    member_key: tuple[str, Path],
) -> None:
    name, key = member_key
    script = EXAMPLES / "take_part.sh"
    said = run_beside_four(
        plane, guard, enrol, state, tmp_path, lambda url: ["sh", str(script), str(key), plane.url, url]
    )
    assert said["subject"] == name


@pytest.mark.skipif(not shutil.which("go"), reason="needs Go")
def test_a_go_program_takes_part(
    plane: ControlPlane,
    guard: Guard,
    enrol: Enrol,
    state: dict[str, Tensor],
    tmp_path: Path,
    member_key: tuple[str, Path],
) -> None:
    name, key = member_key
    program = tmp_path / "take_part"
    built = ["go", "build", "-o", str(program), str(EXAMPLES / "take_part.go")]
    environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    done = subprocess.run(built, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    said = run_beside_four(plane, guard, enrol, state, tmp_path, lambda url: [str(program), str(key), plane.url, url])
    assert said["subject"] == name
