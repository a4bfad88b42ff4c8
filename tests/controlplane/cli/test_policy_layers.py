import json
from pathlib import Path

import pytest

from tests.controlplane.cli.test_policy import policy


def test_a_sites_policies_are_made_checked_tested_and_asked(tmp_path: Path) -> None:
    chosen = ("--layer", "site", "--policies", tmp_path / "mine")
    made = policy("new", "pump_window", *chosen, "--json")
    assert made.exit_code == 0, made.stderr
    said = json.loads(made.stdout)
    assert (said["decision"], said["copied"]) == ("site.rules", False)
    assert all(Path(path).is_file() for path in said["files"])
    checked = policy("check", *chosen, "--json")
    assert (checked.exit_code, json.loads(checked.stdout)) == (0, {"findings": [], "skipped": {}}), checked.stderr
    tested = policy("test", *chosen, "--json")
    assert (tested.exit_code, json.loads(tested.stdout)["findings"]) == (0, []), tested.stderr
    asked = policy("eval", "model_access", *chosen, "--input", "denied_pump_window_closed")
    assert asked.exit_code == 1, asked.stderr
    assert asked.stdout.startswith("denied by site.batch\n")
    assert "MISSING  site:pump_window_open" in asked.stdout


@pytest.mark.parametrize("command", ["check", "test", "new pump"])
def test_a_layer_is_not_looked_for_among_the_bases_policies(command: str) -> None:
    done = policy(*command.split(), "--layer", "site")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"ztfm policy {command.split()[0]}: name the folder of the site's policies with --policies\n"
