import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli.commands import app
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "controlplane.cli", "policy"]
POLICY = "ztfm/extra/door/policy.rego"


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZTFM_")}
    return {**kept, "REGAL_BIN": str(install("regal", tools_folder())), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def policy(*arguments: str | Path, stdin: str | None = None) -> Result:
    """Run `ztfm policy` within this process, without its settings: one of its own would show nothing more."""
    chosen = {**dict.fromkeys(os.environ), **environment()}
    with chdir(ROOT):
        done = CliRunner().invoke(app, ["policy", *map(str, arguments)], input=stdin, env=chosen)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy folder with a decision about doors, made by the command."""
    folder = tmp_path_factory.mktemp("author") / "policies"
    made = policy("new", "door", "--policies", folder, "--json")
    assert made.exit_code == 0, made.stderr
    said = json.loads(made.stdout)
    assert said["copied"] is True
    assert said["decision"] == "ztfm.extra.door"
    assert all(Path(path).is_file() for path in said["files"])
    return folder


@pytest.fixture
def copy(door: Path, tmp_path: Path) -> Path:
    return shutil.copytree(door, tmp_path / "policies")


def test_what_new_makes_passes_check_and_test_at_once(door: Path) -> None:
    checked = policy("check", "--policies", door, "--json")
    assert (checked.exit_code, json.loads(checked.stdout)) == (0, {"findings": [], "skipped": {}}), checked.stderr
    tested = policy("test", "--policies", door, "--json")
    assert tested.exit_code == 0, tested.stdout
    said = json.loads(tested.stdout)
    assert said["findings"] == []
    assert said["coverage"]["ztfm/extra/door"] == 1.0


def test_what_exists_is_not_made_again(door: Path) -> None:
    again = policy("new", "door", "--policies", door)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_check_and_test_say_file_line_and_remedy_and_exit_with_1(copy: Path) -> None:
    path = copy / POLICY
    path.write_text(path.read_text().replace("input.context.usage.requests >= 0", "input.context.usage.requets >= 0"))
    line = path.read_text().splitlines().index("\tinput.context.usage.requets >= 0") + 1
    checked = policy("check", "--policies", copy, "--no-lint")
    assert checked.exit_code == 1
    assert f"{path}:{line}: compile: undefined ref: input.context.usage.requets" in checked.stdout
    assert "policy-reference.md" in checked.stdout
    tested = policy("test", "--policies", copy)
    assert tested.exit_code == 1
    assert f"{copy / 'ztfm/extra/door/policy_test.rego'}:" in tested.stdout
    assert "ztfm policy eval door --input allowed_granted" in tested.stdout


@pytest.mark.parametrize("command", ["check", "test", "docs", "new"])
def test_a_folder_without_policies_is_a_fault(command: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("")
    result = policy(command, *(["door"] if command == "new" else []), "--policies", tmp_path)
    assert result.exit_code == 2
    assert "holds no policies" in result.stderr


def test_eval_exits_with_what_was_decided(door: Path) -> None:
    allowed = policy("eval", "door", "--input", "allowed_granted", "--policies", door)
    assert allowed.exit_code == 0
    assert allowed.stdout.startswith("allowed for 30 s by ztfm.extra.door")
    denied = policy("eval", "door", "--input", "denied_not_granted", "--policies", door)
    assert denied.exit_code == 1
    assert "MISSING  door_granted" in denied.stdout
    assert "Remedy: Ask whoever owns the resource" in denied.stdout
    assert "data.data.door.grants.mallory.first.write = undefined" in denied.stdout
    for text in ("", "{}", "[]", "null"):
        assert policy("eval", "door", "--policies", door, stdin=text).exit_code == 2


def test_eval_reads_standard_input_a_file_and_a_recorded_decision(tmp_path: Path) -> None:
    example = json.loads((ROOT / "policies/ztfm/inference/examples/denied_over_budget.json").read_text())
    recorded = tmp_path / "decision.json"
    recorded.write_text(json.dumps({"id": "dec-1", "outcome": "deny", "facts": example["input"]}))
    one = policy("eval", "inference", "--json", stdin=json.dumps(example["input"]))
    other = policy("eval", "inference", "--json", "--input", recorded)
    assert one.exit_code == other.exit_code == 1
    assert one.stdout == other.stdout
    said = json.loads(one.stdout)
    [missing] = [item for item in said["requirements"] if not item["held"]]
    assert missing["code"] == "tokens_within_budget"
    assert missing["file"] == "ztfm/inference/policy.rego"


def test_docs_writes_and_tells_what_is_not_current(tmp_path: Path) -> None:
    out = tmp_path / "reference.md"
    assert policy("docs", "--out", out, "--check").exit_code == 1
    assert not out.exists()
    assert policy("docs", "--out", out).exit_code == 0
    assert policy("docs", "--out", out, "--check").exit_code == 0
    assert policy("docs", "--out", "-").stdout == out.read_text()


@pytest.mark.parametrize("command", ["new", "check", "test", "eval", "docs"])
def test_help_has_an_example_and_json(command: str) -> None:
    result = policy(command, "--help")
    assert result.exit_code == 0
    assert f"Example: ztfm policy {command}" in result.stdout
    assert "--json" in result.stdout


@pytest.fixture
def watching(copy: Path) -> Iterator[tuple[Path, "Queue[str]"]]:
    process = subprocess.Popen(
        [*COMMAND, "check", "--watch", "--no-lint", "--policies", str(copy)],
        env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines: Queue[str] = Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    reader = Thread(target=read)
    reader.start()
    try:
        yield copy, lines
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


def until(lines: "Queue[str]", text: str) -> None:
    """Wait until a line holds the text."""
    begun = time.monotonic()
    seen = []
    while time.monotonic() - begun < 30:
        try:
            seen.append(lines.get(timeout=1))
        except Empty:
            continue
        if text in seen[-1]:
            return
    pytest.fail(f"no {text!r} in {seen}")


def test_watch_says_of_a_save_what_broke_and_that_it_is_whole_again(watching: tuple[Path, "Queue[str]"]) -> None:
    folder, lines = watching
    until(lines, "0 findings")
    path = folder / POLICY
    whole = path.read_text()
    path.write_text(whole.replace("usage.requests >= 0", "usage.requets >= 0"))
    until(lines, "usage.requets")
    path.write_text(whole)
    until(lines, "0 findings")
