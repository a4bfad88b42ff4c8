"""What ``--watch`` prints after each save: new findings with remedies, the rest in lines that an editor reads."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from controlplane.authoring import PolicyFolder, Tools
from controlplane.cli import policy_watch
from controlplane.cli.policy_watch import watch_checks, watch_tests
from controlplane.sidecar import locate_opa
from tests.controlplane.authoring.breaking import append, replace
from tests.controlplane.authoring.conftest import POLICIES, SMALL

ONE = Path("ztfm/one/policy.rego")


@pytest.fixture
def small(tmp_path: Path) -> PolicyFolder:
    for name, text in SMALL.items():
        path = tmp_path / "small" / "ztfm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return PolicyFolder.open(tmp_path / "small", POLICIES)


@pytest.fixture(scope="module")
def tools() -> Tools:
    return Tools(locate_opa(os.environ).path)


def saving(folder: PolicyFolder, monkeypatch: pytest.MonkeyPatch, *edits: tuple[str, str]) -> None:
    """Have these replacements saved one after the other, and Ctrl-C pressed then."""

    def changes(root: Path, seen: object) -> Iterator[list[Path]]:
        for old, new in edits:
            replace(folder, ONE.as_posix(), old, new)
            yield [root / ONE]
        raise KeyboardInterrupt

    monkeypatch.setattr(policy_watch, "changes", changes)


def runs(text: str) -> list[list[str]]:
    """Return the lines of each run; the last of them sums it up."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        found[-1].append(line)
        if re.search(r"findings? in \d", line):
            found.append([])
    return [lines for lines in found if lines]


def test_checks_tell_what_is_new_gone_and_still_so(
    tools: Tools, small: PolicyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append(small, "ztfm/other/policy.rego", "\n\n\nmore := 1\n")
    saving(small, monkeypatch, (">= 10", "== nothing"), ("== nothing", ">= 10"))
    with pytest.raises(typer.Exit) as ended:
        watch_checks(tools, small, lint=False, as_json=False)
    assert ended.value.exit_code == 0
    first, broken, whole = runs(capsys.readouterr().out)
    formatted = next(line for line in first if ": format:" in line)
    assert first[first.index(formatted) + 1].startswith("    ")
    assert any(": compile:" in line for line in broken)
    assert formatted in broken
    assert not broken[broken.index(formatted) + 1].startswith("    ")
    assert "not done: structure" in broken[-1]
    assert any(line.startswith("whole again: ") and ": compile:" in line for line in whole)
    assert not any(line.startswith("whole again: ") for line in (*first, *broken))


def test_tests_tell_the_affected_first_and_each_failure_once(
    tools: Tools, small: PolicyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saving(small, monkeypatch, (">= 10", "> 10"), ("> 10", ">= 10"))
    with pytest.raises(typer.Exit):
        watch_tests(tools, small, as_json=False)
    first, affected, rest, again, end = runs(capsys.readouterr().out)
    assert first[-1].startswith("4 tests, 0 examples")
    assert affected[-1].startswith("affected tests: 2 findings in ")
    assert sum("test_ten_is_enough" in line and ": test:" in line for line in affected) == 1
    assert not any("test_ten_is_enough" in line for line in rest)
    assert [line.split(": ")[0] for line in again[:-1]] == ["whole again", "whole again"]
    assert end[-1].startswith("4 tests")
    assert "0 findings" in end[-1]


def test_json_is_one_object_a_run(
    tools: Tools, small: PolicyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saving(small, monkeypatch, (">= 10", "> 10"))
    with pytest.raises(typer.Exit):
        watch_tests(tools, small, as_json=True)
    whole, affected, rest = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (whole["all"], affected["all"], rest["all"]) == (True, False, True)
    assert [len(affected[name]) for name in ("findings", "new", "gone")] == [2, 2, 0]
    assert [len(rest[name]) for name in ("findings", "new", "gone")] == [2, 0, 0]


def test_a_fault_is_told_and_the_watch_goes_on(
    tools: Tools, small: PolicyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saving(small, monkeypatch, (">= 10", ">= {"), (">= {", ">= 10"))
    with pytest.raises(typer.Exit):
        watch_tests(tools, small, as_json=False)
    said = capsys.readouterr()
    assert "ztfm policy test: the policies do not compile" in said.err
    assert said.out.splitlines()[-1].startswith("4 tests")
