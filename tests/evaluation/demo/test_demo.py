"""The demo itself, as its user runs it: the real CLI, OPA, control plane, Flower and model."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.demo.processes import PATIENCE_SECONDS, descendants, running, wait_for, wait_until_gone
from tests.evaluation.hub import fill

DEMO = [sys.executable, "-m", "controlplane.cli", "demo", "--quick", "--json", "--report", "demo.html"]
SHORT = """
import json, sys
from dataclasses import replace
from evaluation.demo.environment import quieten
quieten()
from evaluation.smart_home.pretrained import hub_folder
from evaluation.demo.plain_lines import PlainLines
from evaluation.demo.scene import Options, run_demo
from evaluation.federation.plan import QUICK
plan = replace(QUICK, rounds=4, local=replace(QUICK.local, examples=32))
options = Options(is_quick=True, plan=plan, encoder=hub_folder("example/minilm"))
print(json.dumps(run_demo(options, PlainLines(sys.stderr)).to_json()))
"""
pytestmark = [pytest.mark.minutes, pytest.mark.timeout(3 * PATIENCE_SECONDS)]
ACTIONS = {"model_access", "gradient_submission", "inference"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("quick")
    with running(DEMO, folder) as (process, out, log):
        wait_for("guarded round 1", log, process)
        started = descendants(process.pid)
        assert {"opa", "raylet"} <= set(started.values())
        assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
    wait_until_gone(started)
    return json.loads(out.read_text()), folder / "demo.html"


def test_the_guard_keeps_accuracy_and_stops_the_attacks(quick: tuple[dict[str, Any], Path]) -> None:
    figures, _ = quick
    assert figures["guarded_accuracy"] >= figures["clean_accuracy"] - 0.02
    assert figures["guarded_asr"] <= 0.05
    assert figures["unguarded_asr"] > 0.9
    assert figures["unguarded_accuracy"] < figures["clean_accuracy"] - 0.1


def test_every_attacker_is_quarantined_and_nobody_else(quick: tuple[dict[str, Any], Path]) -> None:
    figures, _ = quick
    assert (figures["attackers"], figures["attackers_caught"], figures["honest_quarantined"]) == (4, 4, 0)
    assert figures["least_honest_trust"] >= 0.7


def test_every_pull_submission_and_inference_was_decided(quick: tuple[dict[str, Any], Path]) -> None:
    figures, _ = quick
    assert set(figures["decisions"]) == ACTIONS
    assert all(set(counts) == {"allow", "deny", "error"} for counts in figures["decisions"].values())
    assert all(counts["allow"] > 0 and counts["deny"] > 0 for counts in figures["decisions"].values())
    assert sum(counts["error"] for counts in figures["decisions"].values()) == 0
    assert figures["policy_revision"]


def test_replayed_stolen_and_expired_capabilities_are_refused_and_counted(quick: tuple[dict[str, Any], Path]) -> None:
    figures, _ = quick
    assert figures["credential_attacks"] == {"replayed": 1, "stolen": 1, "expired": 1}
    assert figures["credentials_refused"] == {"replayed": 1}


def test_answers_are_full_bare_or_none_by_the_callers_standing(quick: tuple[dict[str, Any], Path]) -> None:
    figures, _ = quick
    by_standing = {one["standing"]: one for one in figures["inferences"]}
    assert len(by_standing["trusted"]["likelihoods"]) == 3
    assert by_standing["watched"]["answered"]
    assert by_standing["watched"]["likelihoods"] == {}
    assert not by_standing["quarantined"]["answered"]
    assert "subject_active" in by_standing["quarantined"]["reasons"]


def test_the_report_shows_every_device_and_needs_nothing_from_elsewhere(quick: tuple[dict[str, Any], Path]) -> None:
    page = quick[1].read_text()
    assert all(f"home-{device:02d}" in page for device in range(20))
    assert page.count("<svg") == 4
    assert "src=" not in page
    assert "href=" not in page.replace('xlink:href="#', "")
    assert "@import" not in page


def test_a_federation_whose_opa_is_killed_still_ends_in_order_also_with_an_encoder_of_the_hub(tmp_path: Path) -> None:
    fill(tmp_path / "hub")
    short = [sys.executable, "-c", SHORT]
    with running(short, tmp_path, HF_HUB_CACHE=str(tmp_path / "hub")) as (process, out, log):
        wait_for("guarded round 1", log, process)
        started = descendants(process.pid)
        (opa,) = [pid for pid, name in started.items() if name == "opa"]
        os.kill(opa, signal.SIGKILL)
        assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
    figures = json.loads(out.read_text())
    assert (figures["attackers_caught"], figures["honest_quarantined"]) == (4, 0)
    assert any(one["answered"] for one in figures["inferences"])
    wait_until_gone(started)


def test_an_encoder_that_nobody_has_ends_the_demo_before_it_begins(tmp_path: Path) -> None:
    settings = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    with running([*DEMO, "--encoder", "example/unknown"], tmp_path, **settings) as (process, out, log):
        assert process.wait(PATIENCE_SECONDS) == 1
    assert "check the name and the network" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert out.read_text() == ""


@pytest.mark.parametrize(("moment", "times"), [("guarded federation", 1), ("guarded round 1", 2)])
def test_an_interrupted_demo_stops_all_that_it_started(tmp_path: Path, moment: str, times: int) -> None:
    with running(DEMO, tmp_path) as (process, out, log):
        wait_for(moment, log, process)
        started = descendants(process.pid)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        assert process.wait(PATIENCE_SECONDS) == 130, log.read_text()
    assert "everything that it started is stopped" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert out.read_text() == ""
    assert not (tmp_path / "demo.html").exists()
    wait_until_gone(started)
