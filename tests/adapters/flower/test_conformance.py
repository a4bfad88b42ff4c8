"""The kit and Flower's simulation get on; all cases are ``ztfm adapter check adapters.flower.conformance``."""

import pytest

from adapters.conformance.command import Line, check


@pytest.mark.timeout(200)
def test_some_of_the_cases_hold() -> None:
    told: list[Line] = []
    check("adapters.flower.conformance", ["honest", "no-role", "failing", "dying"], told.append)
    found = {line.case: (line.verdict, line.faults) for line in told}
    assert {case: verdict for case, (verdict, _) in found.items()} == {
        "honest": "held",
        "no-role": "held",
        "failing": "held",
        "dying": "not applicable",
    }, found
