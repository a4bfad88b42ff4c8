"""The example of a rollback runs as its text says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ControlPlane

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(170)
def test_what_a_device_contributed_is_left_out_and_the_archive_holds(plane: ControlPlane, tmp_path: Path) -> None:
    tokens = {"trainers": [("trainer", "homes")] * 6, "aggregator": [("aggregator", "core")]}
    tokens["operator"] = [("operator", "core")]
    words = ["--url", plane.url, "--folder", str(tmp_path / "keys")]
    for name, wanted in tokens.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(plane.token([role], segment) for role, segment in wanted))
        words += [f"--{name}", str(tmp_path / f"{name}.txt")]
    program = [sys.executable, "-m", "examples.rollback", *words]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"rollback done: \d rounds done again, [1-4] updates left out", done.stdout), done.stdout
    assert "the archive holds: True" in done.stdout
