"""Checking again finds what a whole check finds, tells each finding once, and does only what a change can affect."""

from pathlib import Path

import pytest

from controlplane.authoring import AuthoringError, PolicyFolder, Tools, check
from controlplane.authoring import checking as checks
from controlplane.authoring.findings import Finding
from controlplane.authoring.rechecking import Rechecker, difference
from tests.controlplane.authoring.breaking import INFERENCE, append, replace

POLICY = Path(INFERENCE)
LIMITS = Path("data/limits/data.json")


def finding(line: int, message: str = "m", file: str = "a") -> Finding:
    return Finding(file, line, "lint", message, "r")


def test_a_finding_that_moved_is_the_same_and_a_second_one_alike_is_new() -> None:
    told = difference([finding(1), finding(9, "gone")], [finding(4), finding(7)])
    assert (told.new, told.gone) == ([finding(7)], [finding(9, "gone")])
    assert told.found == [finding(4), finding(7)]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the checks that ran, in no order."""
    ran: list[str] = []

    def watched(name: str, work: checks.Check) -> checks.Check:
        def run(tools: Tools, folder: PolicyFolder) -> list[Finding]:
            ran.append(name)
            return work(tools, folder)

        return run

    for name, work in list(checks.CHECKS.items()):
        monkeypatch.setitem(checks.CHECKS, name, watched(name, work))
    return ran


def test_only_what_a_change_affects_is_done_again(tools: Tools, folder: PolicyFolder, done: list[str]) -> None:
    checker = Rechecker(tools, folder, lint=False)
    assert checker.run().found == []
    assert set(done) == set(checks.CHECKS) - {"lint"}
    done.clear()
    replace(folder, LIMITS.as_posix(), '"trust_minimum": 0.7', '"trust_minimum": 7')
    told = checker.run([LIMITS])
    assert [item.check for item in told.new] == ["data"]
    assert set(done) == {"compile", "data", "requirements", "examples"}
    done.clear()
    replace(folder, LIMITS.as_posix(), '"trust_minimum": 7', '"trust_minimum": 0.7')
    assert [item.check for item in checker.run([LIMITS]).gone] == ["data"]
    assert checker.run([]).found == []


def test_an_example_alone_is_checked_again(tools: Tools, folder: PolicyFolder, done: list[str]) -> None:
    checker = Rechecker(tools, folder, lint=False)
    checker.run()
    done.clear()
    example = Path(INFERENCE).parent / "examples" / "allowed_trusted.json"
    (folder.root / example).write_text("{}")
    told = checker.run([example])
    assert {item.file for item in told.new} == {example.as_posix()}
    assert set(done) == {"requirements", "examples"}
    assert checker.skipped == {}


def test_what_each_check_found_is_told_as_soon_as_it_is_done(tools: Tools, small: PolicyFolder) -> None:
    checker = Rechecker(tools, small, lint=False)
    checker.run()
    append(small, "ztfm/one/policy.rego", "\n\n\nmore := input.nothing == 1\n\nless := if\n")
    told: list[list[Finding]] = []
    whole = checker.run([Path("ztfm/one/policy.rego")], lambda one: told.append(one.new))
    assert len(told) >= 2
    assert all(len({item.check for item in one}) <= 1 for one in told)
    assert "compile" in {item.check for item in whole.new}
    assert sorted(item for one in told for item in one) == whole.new


def test_what_does_not_compile_hides_other_findings_and_brings_them_back(
    tools: Tools, folder: PolicyFolder, done: list[str]
) -> None:
    checker = Rechecker(tools, folder, lint=False)
    reasons = folder.root / "data/reasons/data.json"
    whole = reasons.read_text()
    reasons.write_text(whole.replace('"inference_sized"', '"inference_small"'))
    found = checker.run().found
    assert {item.check for item in found} == {"requirements"}
    replace(folder, INFERENCE, "usage.requests >= 0", "usage.requets >= 0")
    told = checker.run([POLICY])
    assert [item.check for item in told.new] == ["compile"]
    assert told.gone == []
    assert set(checker.skipped) == {"structure", "descriptions", "requirements", "examples"}
    done.clear()
    reasons.write_text(whole)
    assert checker.run([reasons.relative_to(folder.root)]).new == []
    assert "requirements" not in done
    replace(folder, INFERENCE, "usage.requets >= 0", "usage.requests >= 0")
    told = checker.run([POLICY])
    assert told.found == []
    assert {item.check for item in told.gone} == {"compile", "requirements"}
    assert checker.skipped == {}


def test_the_linter_looks_at_changed_files_and_what_it_found_in_others_stays(
    tools: Tools, small: PolicyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[str, ...]] = []
    lint = checks.check_lint

    def watched(tools: Tools, folder: PolicyFolder, only: tuple[str, ...] = (".",)) -> list[Finding]:
        looked.append(only)
        return lint(tools, folder, only)

    monkeypatch.setitem(checks.CHECKS, "lint", watched)
    monkeypatch.setattr("controlplane.authoring.rechecking.check_lint", watched)
    one, test = "ztfm/one/policy.rego", "ztfm/two/policy_test.rego"
    append(small, test, "\ncount := 1\n")
    checker = Rechecker(tools, small)
    [shadows] = [item for item in checker.run().found if item.check == "lint:rule-shadows-builtin"]
    assert shadows.file == test
    append(small, one, "\nsum := 1\n")
    new = checker.run([Path(one)]).new
    assert {item.file for item in new} == {one}
    assert "lint:rule-shadows-builtin" in {item.check for item in new}
    assert looked == [(".",), (one,)]
    whole = [item for done in check(tools, small) for item in done.findings]
    assert checker.run([]).found == sorted(whole)
    (small.root / test).unlink()
    assert shadows in checker.run([Path(test)]).gone
    assert looked[-1] != (test,)


def test_a_tool_that_fails_leaves_what_was_due_due(
    tools: Tools, small: PolicyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker = Rechecker(tools, small, lint=False)
    checker.run()

    def failing(_tools: Tools, _folder: PolicyFolder) -> list[Finding]:
        raise AuthoringError("no OPA")

    append(small, "ztfm/one/policy.rego", "\n\n\nmore := 1\n")
    with monkeypatch.context() as broken:
        broken.setitem(checker._checks, "format", failing)
        with pytest.raises(AuthoringError, match="no OPA"):
            checker.run([Path("ztfm/one/policy.rego")])
    assert "format" in {item.check for item in checker.run([]).new}
