"""After a change the affected tests come first; what failed already is not told again."""

from pathlib import Path

import pytest

from controlplane.authoring import AuthoringError, PolicyFolder, Tools
from controlplane.authoring.retesting import Retester
from tests.controlplane.authoring.breaking import ONE, append, replace


def test_newly_failing_and_whole_again_is_told_once(tools: Tools, small: PolicyFolder) -> None:
    tester = Retester(tools, small)
    results, told = tester.run()
    assert (results.tests, results.findings, told.found) == (4, [], [])
    replace(small, ONE, ">= 10", "> 10")
    first = tester.run_affected([Path(ONE)])
    assert first is not None
    assert [item.message for item in first.new] == [
        "test_ten_is_enough does not hold.",
        "test_ten_opens does not hold.",
    ]
    told = tester.run()[1]
    assert (told.found, told.new, told.gone) == (first.new, [], [])
    again = tester.run_affected([Path(ONE)])
    assert again is not None
    assert (again.new, again.gone, again.found) == ([], [], first.new)
    replace(small, ONE, "> 10", ">= 10")
    whole = tester.run_affected([Path(ONE)])
    assert whole is not None
    assert (whole.found, whole.gone) == ([], first.new)
    assert tester.run()[1].found == []


def test_what_fails_elsewhere_is_not_said_to_be_whole(tools: Tools, small: PolicyFolder) -> None:
    append(small, "ztfm/other/policy_test.rego", "\ntest_never if false\n")
    tester = Retester(tools, small)
    [never] = tester.run()[1].new
    first = tester.run_affected([Path(ONE)])
    assert first is not None
    assert (first.found, first.gone) == ([], [])
    assert tester.run()[1].found == [never]


def test_where_no_test_can_be_affected_none_is_run_first(tools: Tools, small: PolicyFolder) -> None:
    assert Retester(tools, small).run_affected([Path("ztfm/one/examples/denied_x.json")]) is None


def test_coverage_that_is_not_measured_is_not_whole_again(tools: Tools, small: PolicyFolder) -> None:
    append(small, "ztfm/other/policy.rego", "\nuntested if input.amount == 1\n")
    tester = Retester(tools, small)
    uncovered = tester.run()[1].new
    assert {item.check for item in uncovered} == {"coverage"}
    replace(small, ONE, ">= 10", "> 10")
    told = tester.run()[1]
    assert told.gone == []
    assert {item.check for item in told.new} == {"test"}
    replace(small, ONE, "> 10", ">= 10")
    told = tester.run()[1]
    assert (told.new, told.found) == ([], uncovered)


def test_policies_that_do_not_compile_are_a_fault_and_no_result(tools: Tools, small: PolicyFolder) -> None:
    append(small, ONE, "\nallow if {\n")
    with pytest.raises(AuthoringError, match="do not compile"):
        Retester(tools, small).run_affected([Path(ONE)])
