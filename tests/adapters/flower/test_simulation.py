"""Flower's own simulation engine, with an attacker and a device that may not train."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.member import Member
from tests.support import ControlPlane

ROOT = Path(__file__).parents[3]
NODES, ATTACKER, CONSUMER, UNDONE = 6, 0, 1, 2


@pytest.mark.timeout(170)
def test_a_simulation_keeps_out_who_attacks_or_may_not_train_and_undoes_what_is_ordered(
    plane: ControlPlane, tmp_path: Path
) -> None:
    roles = ["trainer", "consumer", "trainer", "trainer", "trainer", "trainer"]
    names = [_enrol(plane, tmp_path / f"member-{number}", role, "homes") for number, role in enumerate(roles)]
    _enrol(plane, tmp_path / "aggregator", "aggregator", "core")
    _enrol(plane, tmp_path / "operator", "operator", "core")
    results = tmp_path / "results.json"
    program = [sys.executable, "-m", "tests.adapters.flower.federation", str(tmp_path), str(results)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert results.exists(), done.stderr[-3000:]
    found = json.loads(results.read_text())
    first, second, _third = found["rounds"]
    assert first["pulled"] == 5
    assert all(1 <= one["accepted"] <= 4 for one in found["rounds"])
    assert ["pull", "declined", names[CONSUMER]] in first["drops"]
    assert all(names[ATTACKER] in [drop[2] for drop in one["drops"]] for one in found["rounds"])
    (undone,) = second["rollbacks"]
    assert (undone[0], undone[1], undone[2] >= 1) == ([names[UNDONE]], "done", True)
    assert found["faults"] == []
    assert found["accuracies"][1] > found["accuracies"][0]


def _enrol(plane: ControlPlane, folder: Path, role: str, segment: str) -> str:
    token = plane.token([role], segment)
    with Member.enrol(folder, plane.url, token, roles=[role], segment=segment) as member:
        return member.id


def test_the_example_app_runs_as_its_text_says(plane: ControlPlane, tmp_path: Path) -> None:
    done = _example("examples.flower_app.simulate", plane, tmp_path, ["--rounds", "1"])
    assert "round 1: 5 of 5 updates accepted" in done.stdout, done.stderr[-3000:]


def test_the_example_loop_runs_as_its_text_says(plane: ControlPlane, tmp_path: Path) -> None:
    done = _example("examples.pytorch_loop", plane, tmp_path, [])
    assert "round 5: 5 of 5 updates accepted" in done.stdout, done.stderr[-3000:]


def _example(module: str, plane: ControlPlane, folder: Path, more: list[str]) -> "subprocess.CompletedProcess[str]":
    (folder / "trainers.txt").write_text("\n".join(plane.token(["trainer"], "homes") for _ in range(5)))
    (folder / "aggregator.txt").write_text(plane.token(["aggregator"], "core"))
    given = {"--url": plane.url, "--trainers": "trainers.txt", "--aggregator": "aggregator.txt", "--folder": "keys"}
    words = [word for pair in given.items() for word in pair]
    words = [str(folder / word) if word.endswith(".txt") or word == "keys" else word for word in words]
    program = [sys.executable, "-m", module, *words, *more]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
