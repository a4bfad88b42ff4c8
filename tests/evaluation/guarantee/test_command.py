"""The command as people run it, small."""

import json
import shutil
from pathlib import Path

import pytest

from controlplane.contracts.behaviour import BehaviourTerms
from evaluation.guarantee.__main__ import POLICIES, main


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("behaviour", "limits"):
        shutil.copytree(POLICIES / name, folder / name)
    return folder


def test_a_quick_run_tells_how_many_honest_homes_were_quarantined(
    policies: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--json", "--policies", str(policies), "--cache", str(cache)]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {(row["scenario"], row["variant"]): row for row in found["rows"]}
    assert found["alpha"] == 0.02
    assert rows["low_skew", "as_shipped"]["honest"]["count"] <= 1
    assert rows["high_skew", "as_shipped"]["honest"]["count"] <= 1
    assert rows["two_fifths_collude", "as_shipped"]["hostile"]["share"] == 1.0
    assert rows["two_fifths_collude", "as_shipped"]["rounds_to_quarantine"] <= 4
    assert ("low_skew", "calibration_of_the_other_skew") in rows


def test_a_calibration_is_written_into_the_terms_and_nothing_else_is_changed(policies: Path, cache: Path) -> None:
    path = policies / "behaviour" / "data.json"
    before = json.loads(path.read_text())
    before["calibration"]["access"] = [0.0, 1.0] * 10
    path.write_text(json.dumps(before))
    few = ["--federations", "1", "--rounds", "3"]
    assert main(["--write-calibration", *few, "--policies", str(policies), "--cache", str(cache)]) == 0
    after = json.loads(path.read_text())
    assert {name: value for name, value in after.items() if name != "calibration"} == {
        name: value for name, value in before.items() if name != "calibration"
    }
    assert after["calibration"]["access"] == [0.0, 1.0] * 10
    assert after["calibration"]["any"] != before["calibration"]["any"]
    BehaviourTerms.model_validate(after)
