"""What docs/policy-authoring.md teaches is done, what it links to explain is so, and surprises surprise a real OPA."""

import json
import os
import re
import shlex
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.bundles import Trust, verify
from controlplane.cli.commands import app
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install
from tests.policies.support import POLICIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "policy-authoring.md").read_text()
WHY = (ROOT / "docs" / "why-denied.md").read_text()
EDITOR = ROOT / "examples" / "editor" / ".vscode"


def ztfm(folder: Path, *arguments: str) -> Result:
    """Run the command in a folder, within this process, without its settings."""
    environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith("ZTFM_")}
    environment |= {"REGAL_BIN": str(install("regal", tools_folder())), "OPA_BIN": str(locate_opa(os.environ).path)}
    with chdir(folder):
        done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def commands(section: str) -> list[str]:
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("ztfm ") for block in blocks for line in block.splitlines()]


@pytest.mark.timeout(300)
def test_the_steps_are_taken_and_each_ends_as_the_page_says(tmp_path: Path) -> None:
    for line in commands("Step by step"):
        command, _, note = line.partition("#")
        result = ztfm(tmp_path, *command.split())
        assert result.exit_code == (1 if "exits with 1" in note else 0), (line, result.stdout, result.stderr)
    policies = tmp_path / "my-policies"
    policy = policies / "ztfm/extra/door/policy.rego"
    policy.write_text(policy.read_text().replace("required := {\n", 'required := {\n\t"door_daytime",\n'))
    checked = ztfm(tmp_path, "policy", "check", "--no-lint", "--policies", "my-policies")
    assert (checked.exit_code, "The reason door_daytime has no text." in checked.stdout) == (1, True)
    reasons = policies / "data/reasons/data.json"
    text = {"door_daytime": {"message": "Doors open in the daytime.", "remedy": "Come back after seven."}}
    reasons.write_text(json.dumps(json.loads(reasons.read_text()) | text))
    assert ztfm(tmp_path, "policy", "test", "--policies", "my-policies").exit_code == 1
    rule = re.search(r"^   ```rego\n(.*?)^   ```", PAGE, re.MULTILINE | re.DOTALL)
    assert rule is not None
    policy.write_text(policy.read_text() + "\n" + re.sub(r"^   ", "", rule[1], flags=re.MULTILINE))
    example = policies / "ztfm/extra/door/examples/allowed_granted.json"
    at_night = ztfm(tmp_path, "policy", "eval", "door", "--policies", "my-policies", "--input", str(example))
    assert (at_night.exit_code, "MISSING  door_daytime" in at_night.stdout) == (1, True)
    example.write_text(example.read_text().replace("1763000000.5", "1763030000.5"))
    by_day = ztfm(tmp_path, "policy", "eval", "door", "--policies", "my-policies", "--input", str(example))
    assert by_day.exit_code == 0, by_day.stdout


def test_a_bundle_is_made_and_signed_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(POLICIES, tmp_path / "my-policies")
    monkeypatch.chdir(tmp_path)
    for line in commands("Sign it"):
        done = CliRunner().invoke(app, shlex.split(line, comments=True), env={"ZTFM_STATE_DIR": "state"})
        assert done.exit_code == 0, (line, done.stdout, done.stderr)
    trust = Trust.of_folder(tmp_path / "trust")
    assert verify((tmp_path / "base.tar.gz").read_bytes(), trust, "base").source()


def test_the_explanation_on_the_page_is_what_eval_says() -> None:
    result = ztfm(ROOT, "policy", "eval", "inference", "--input", "denied_over_budget")
    [shown] = re.findall(r"^```\n(denied by.*?)^```", WHY, re.MULTILINE | re.DOTALL)
    assert result.stdout.startswith(shown)


SURPRISES = {
    "a missing bound": ("every x in [null, false, true] { x <= 300 }", True),
    "a string is above a number": ('every x in ["x", [], {}] { x >= 0.4 }', True),
    "not of what is missing": ("not input.revoked", True),
    "not of a call with what is missing": ("not startswith(input.thing, `good`)", None),
    "all of what is missing": ("count({x | some x in input.missing}) == 0", True),
    "nothing counted": ("count({x | some x in input.reasons}) == 0", True),
    "zero holds": ("0; ``; []", True),
    "false of what is missing": ("input.x == false", None),
    "a default tells them apart": ("object.get(input, `x`, null) == null", True),
    "every of nothing": ("every x in [] { x == 1 }", True),
    "a set is no array": ("{`a`} == [`a`]", None),
    "only sets subtract": ("[`a`, `b`] - [`a`]", "error"),
}


@pytest.mark.parametrize("name", sorted(SURPRISES))
def test_a_surprise_is_one(name: str, tmp_path: Path) -> None:
    body, expected = SURPRISES[name]
    module = tmp_path / "p.rego"
    module.write_text(f"package p\n\nholds if {{\n\t{body}\n}}\n")
    command = [str(locate_opa(os.environ).path), "eval", "--format", "json", "--stdin-input", "--data", str(module)]
    answer = subprocess.run(
        [*command, "data.p.holds"], input="{}", capture_output=True, text=True, timeout=30, check=False
    )
    said = json.loads(answer.stdout)
    if expected == "error":
        assert said.get("errors")
    else:
        assert (said["result"][0]["expressions"][0]["value"] if "result" in said else None) is expected


def test_the_editors_files_name_what_exists() -> None:
    settings = json.loads((EDITOR / "settings.json").read_text())
    named = {Path(item["url"]) for item in settings["json.schemas"]}
    assert {path.relative_to(ROOT) for path in (ROOT / "policies/data").glob("*/*.schema.json")} == named
    assert json.loads((EDITOR / "extensions.json").read_text())["recommendations"]


def test_the_editors_tasks_find_what_the_commands_print() -> None:
    tasks = {task["label"]: task for task in json.loads((EDITOR / "tasks.json").read_text())["tasks"]}
    matcher = tasks["policy: check while I edit"]["problemMatcher"]
    found = re.match(matcher["pattern"]["regexp"], "policies/ztfm/x.rego:7: lint:opa-fmt: Not formatted.")
    assert found is not None
    assert found.groups() == ("policies/ztfm/x.rego", "7", "lint:opa-fmt", "Not formatted.")
    assert re.search(matcher["background"]["endsPattern"], "0 findings in 0.42 s")
    other = tasks["policy: test while I edit"]["problemMatcher"]
    assert re.search(other["background"]["endsPattern"], "3 tests, 1 example: 1 finding in 0.42 s")
