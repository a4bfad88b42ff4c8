import math

from hypothesis import given, settings

from adapters.segments.withholding import common, narrowed, withheld
from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import rules_of
from tests.controlplane.segmentation.tables import CAMERA, NOW, ROBOT, grant, table, tables


@settings(max_examples=60)
@given(tables(), tables())
def test_what_is_left_of_rules_by_another_table_is_what_both_let_through(one: GrantTable, other: GrantTable) -> None:
    before, wanted = rules_of(one, NOW), rules_of(other, NOW)
    left = narrowed(before, other)
    both = common(before, wanted)
    assert left.cut == both.cut == before.cut | wanted.cut
    # What has ended by the other table may still be named, with an end that is over.
    lasting = {flow: end for flow, end in left.flows.items() if end > NOW}
    kept = {flow: math.floor(end) for flow, end in both.flows.items() if not {flow.source, flow.destination} & both.cut}
    assert lasting == {flow: end for flow, end in kept.items() if end > NOW}


def test_what_is_void_is_withheld_by_when_its_table_was_made() -> None:
    made = table([grant(1, CAMERA, "gateway"), grant(2, ROBOT, "gateway")])
    assert withheld(made, lambda *_: False) is made
    left = withheld(made, lambda one, made_at: one.device == "device-1" and made_at == NOW)
    assert [one.device for one in left.grants] == ["device-2"]
    assert (left.revision, left.services) == (made.revision, made.services)
