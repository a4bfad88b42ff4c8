import pytest

from controlplane.authoring import AuthoringError, PolicyFolder, Tools, run_tests
from controlplane.authoring.testing import cover
from tests.controlplane.authoring.breaking import INFERENCE, ONE, append, replace


def test_a_broken_rule_fails_its_tests_and_its_examples_each_at_its_place(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, INFERENCE, "input.context.usage.requests >= 0", "input.context.usage.requests >= 1000000")
    results = run_tests(tools, folder)
    kinds = {item.check for item in results.findings}
    assert kinds == {"test", "example"}
    assert results.coverage == {}
    for item in results.findings:
        line = (folder.root / item.file).read_text().splitlines()[item.line - 1]
        assert line.startswith("test_") or '"decision"' in line
    assert any("ztfm policy eval inference --input allowed_trusted" in item.remedy for item in results.findings)


def test_a_package_that_is_not_covered_fails_with_the_lines(tools: Tools, small: PolicyFolder) -> None:
    spare = '\nspare if {\n\tinput.action.name == "spare"\n\tinput.resource.type == "spare"\n}\n'
    line = append(small, ONE, spare)
    append(small, ONE, spare.replace('"spare"', '"less"'))
    results = run_tests(tools, small)
    assert results.coverage["ztfm/one"] < 0.95
    assert {item.check for item in results.findings} == {"coverage"}
    assert {item.file for item in results.findings} == {ONE}
    assert min(item.line for item in results.findings) >= line


def test_coverage_is_counted_by_package_and_only_what_is_below_the_bound_is_told() -> None:
    report = {
        "files": {
            "ztfm/a/policy.rego": {"covered_lines": 95, "not_covered_lines": 5, "not_covered": [{"start": {"row": 9}}]},
            "ztfm/b/policy.rego": {"covered_lines": 94, "not_covered_lines": 6, "not_covered": [{"start": {"row": 7}}]},
            "ztfm/b/policy_test.rego": {"covered_lines": 1, "not_covered_lines": 900},
            "ztfm/c/policy.rego": {},
        }
    }
    shares, findings = cover(report)
    assert shares == {"ztfm/a": 0.95, "ztfm/b": 0.94}
    assert [(item.file, item.line) for item in findings] == [("ztfm/b/policy.rego", 7)]


def test_a_test_that_reads_the_wall_clock_is_refused(tools: Tools, folder: PolicyFolder) -> None:
    append(folder, "ztfm/inference/policy_test.rego", "\ntest_now if time.now_ns() > 0\n")
    with pytest.raises(AuthoringError, match=r"time\.now_ns reads the wall clock"):
        run_tests(tools, folder)


def test_policies_that_do_not_compile_are_no_success(tools: Tools, folder: PolicyFolder) -> None:
    append(folder, INFERENCE, "\nbroken if {\n")
    with pytest.raises(AuthoringError, match=r"policy\.rego"):
        run_tests(tools, folder)


def test_a_folder_without_tests_does_not_pass(tools: Tools, folder: PolicyFolder) -> None:
    for path in folder.rego_files(tests=True):
        path.unlink()
    messages = {item.message for item in run_tests(tools, folder).findings}
    assert "There are no tests." in messages


def test_each_test_is_told_with_its_place_and_how_it_ended(tools: Tools, small: PolicyFolder) -> None:
    test = "ztfm/one/policy_test.rego"
    line = append(small, test, "\ntest_never if false\n\ntodo_test_later if false\n") + 1
    ran = {one.name: one for one in run_tests(tools, small).ran}
    assert (ran["test_never"].outcome, ran["test_never"].file, ran["test_never"].line) == ("failed", test, line)
    assert ran["test_ten_is_enough"].outcome == "passed"
    assert ran["test_ten_is_enough"].package == "ztfm.one_test"
    assert ran["todo_test_later"].outcome == "skipped"
    assert all(one.seconds >= 0 for one in ran.values())


def test_the_lines_of_a_rule_that_no_test_runs_are_told_apart(tools: Tools, small: PolicyFolder) -> None:
    line = append(small, ONE, '\nspare if {\n\tinput.action.name == "spare"\n}\n') + 1
    lines = run_tests(tools, small).lines
    assert lines[ONE].covered == [(3, 3)]
    assert lines[ONE].not_covered == [(line, line + 1)]
    assert not any(name.endswith("_test.rego") for name in lines)
