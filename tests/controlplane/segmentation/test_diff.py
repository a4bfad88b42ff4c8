import pytest
from hypothesis import given, settings

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.diff import SLACK, deviation, difference
from controlplane.segmentation.flows import Flow, Rules, rules_of
from tests.controlplane.segmentation.tables import AGGREGATOR, CAMERA, GATEWAY, NOW, ROBOT, STRANGER, tables

STAYS = Flow(CAMERA, AGGREGATOR, "tcp", 8080)
GOES = Flow(CAMERA, GATEWAY, "tcp", 443)
COMES = Flow(ROBOT, GATEWAY, "tcp", 443)


def test_a_plan_says_each_change_in_a_line_and_the_cuts_first() -> None:
    before = Rules({STAYS: NOW + 60, GOES: NOW + 60}, frozenset({STRANGER}))
    after = Rules({STAYS: NOW + 90, COMES: NOW + 30}, frozenset({ROBOT}))
    assert list(difference(before, after).lines()) == [
        "! 10.0.2.9 is cut off",
        "? 10.0.9.4 is no longer cut off",
        "- 10.0.1.7 -> 10.0.9.3 tcp 443",
        f"+ 10.0.2.9 -> 10.0.9.3 tcp 443 until {NOW + 30}",
        f"~ 10.0.1.7 -> 10.0.9.2 tcp 8080 until {NOW + 90}, 30 s later",
    ]


def test_a_plan_for_programs_says_the_same() -> None:
    found = difference(Rules({STAYS: NOW + 60}), Rules({STAYS: NOW + 90}, frozenset({ROBOT}))).as_json()
    moved = {"source": CAMERA, "destination": AGGREGATOR, "protocol": "tcp", "port": 8080}
    assert found == {
        "opened": [],
        "closed": [],
        "moved": [{**moved, "from": NOW + 60, "until": NOW + 90}],
        "cut": [ROBOT],
        "restored": [],
    }


@settings(max_examples=60, deadline=None)
@given(tables(), tables())
def test_a_difference_leads_from_one_to_the_other(one: GrantTable, other: GrantTable) -> None:
    before, after = rules_of(one, NOW), rules_of(other, NOW)
    change = difference(before, after)
    flows = {flow: end for flow, end in before.flows.items() if flow not in change.closed}
    flows |= {**change.opened, **{flow: ends[1] for flow, ends in change.moved.items()}}
    assert Rules(flows, (before.cut | change.cut) - change.restored) == after
    assert bool(change) is (before != after) is any(True for _ in change.lines())


@pytest.mark.parametrize(
    ("found", "tells"),
    [
        (Rules({STAYS: NOW + 60}, frozenset({ROBOT})), False),
        (Rules({STAYS: NOW + 60 + SLACK}, frozenset({ROBOT})), False),  # type: ignore[dict-item]
        (Rules({STAYS: NOW + 64}, frozenset({ROBOT})), True),
        (Rules({STAYS: NOW + 56}, frozenset({ROBOT})), True),
        (Rules({}, frozenset({ROBOT})), True),
        (Rules({STAYS: NOW + 60, COMES: NOW + 1}, frozenset({ROBOT})), True),
        (Rules({STAYS: NOW + 60}), True),
        (Rules({STAYS: NOW + 60}, frozenset({ROBOT, STRANGER})), True),
    ],
)
def test_a_deviation_is_whatever_a_clock_does_not_explain(found: Rules, tells: bool) -> None:
    meant = Rules({STAYS: NOW + 60}, frozenset({ROBOT}))
    assert bool(deviation(meant, found, NOW)) is tells


def test_a_flow_that_is_gone_as_its_end_is_near_is_no_deviation_and_one_that_is_there_beyond_it_is_one() -> None:
    near = Rules({STAYS: NOW + 2})
    assert not deviation(near, Rules(), NOW)
    assert deviation(Rules(), near, NOW).opened == near.flows
