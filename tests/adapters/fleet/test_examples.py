"""The example is a fleet's file in both forms, and the documents' commands enrol it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.fleet.lines import Line, read_csv, read_json_lines
from tests.support import ControlPlane

FLEET = Path(__file__).parents[3] / "examples" / "fleet"


def test_both_forms_state_the_same() -> None:
    with (FLEET / "fleet.csv").open(newline="") as csv, (FLEET / "fleet.jsonl").open() as jsonl:
        found = [list(read_csv(csv)), list(read_json_lines(jsonl))]
    stated = [[one.model_dump(exclude={"number"}) for one in lines if isinstance(one, Line)] for lines in found]
    assert stated[0] == stated[1]
    assert len(stated[0]) == 5


def test_ztfm_hands_on_what_it_is_given(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "controlplane.cli", "devices", "enrol", str(FLEET / "fleet.csv")]
    stated = ["--url", "http://127.0.0.1:1", "--at-once", "3", "--hours", "2", "--patience", "1", "--socket", "x"]
    more = [*stated, "--out", str(tmp_path / "station"), "--check", "--json"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)
    said = json.loads(done.stdout)
    # Nothing issues tokens where no administrator is given.
    assert (done.returncode, said["ended"], said["failed"]) == (2, "invalid", 5)


@pytest.mark.parametrize(
    ("module", "name"), [("adapters.fleet", "fleet.csv"), ("controlplane.cli devices enrol", "fleet.jsonl")]
)
def test_the_example_is_enrolled(plane: ControlPlane, admin: Path, tmp_path: Path, module: str, name: str) -> None:
    arguments = [str(FLEET / name), "--out", str(tmp_path / "station"), "--admin", str(admin), "--json"]
    command = [sys.executable, "-m", *module.split(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["enrolled"], json.loads(done.stdout)["failed"]) == (5, 0)
    assert len(list((tmp_path / "station" / "devices").iterdir())) == 5
