from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation import cilium
from controlplane.segmentation.cilium import admitted_by, policies
from controlplane.segmentation.flows import admissions_of
from controlplane.segmentation.kubernetes import NotCompiled
from tests.controlplane.segmentation.changed import changed
from tests.controlplane.segmentation.tables import CAMERA, NOW, ROBOT, SERVICES, cut, grant, table, tables
from tests.servers.cilium import Judge, ensure_cilium, judging
from tests.servers.debian import NotInstalled


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    try:
        ensure_cilium()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    with judging() as found:
        yield found


def compiled(any_table: GrantTable, **options: Any) -> list[dict[str, Any]]:
    return policies(any_table, NOW, "plant-1", **options)


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(1, 3))
def test_what_was_compiled_reads_back_as_the_table_with_its_cuts(any_table: GrantTable, shards: int) -> None:
    admitted, denied = admitted_by(compiled(any_table, shards=shards))
    assert admitted == admissions_of(any_table, NOW).keys()
    assert denied == {each.address for each in any_table.cuts}


@settings(max_examples=25, deadline=None)
@given(any_table=tables(), shards=st.integers(1, 3))
def test_every_object_fits_the_types_of_cilium(judge: Judge, any_table: GrantTable, shards: int) -> None:
    for each in yaml.safe_load_all(yaml.safe_dump_all(compiled(any_table, shards=shards))):
        assert judge(each) == []


@pytest.mark.parametrize("wrong", [{"ingres": []}, {"endpointSelector": None}, {"ingress": [{"fromCidr": []}]}])
def test_the_types_tell_a_wrong_object(judge: Judge, wrong: dict[str, Any]) -> None:
    [*_, letting_in] = compiled(table([grant(1, CAMERA, "gateway")]))
    assert judge(letting_in | {"spec": letting_in["spec"] | wrong})


def test_every_object_closes_what_comes_in_and_an_empty_rule_lets_nobody_in() -> None:
    for each in compiled(table()):
        assert each["spec"]["enableDefaultDeny"]["ingress"] is True
        assert each["spec"]["ingress"] == [{}]


def test_a_device_that_is_cut_off_is_denied_in_both_directions() -> None:
    closing, *others = compiled(table([grant(1, CAMERA, "gateway"), grant(2, ROBOT, "gateway")], [cut(1, CAMERA)]))
    assert closing["spec"]["ingressDeny"] == [{"fromCIDR": [f"{CAMERA}/32"]}]
    assert closing["spec"]["egressDeny"] == [{"toCIDR": [f"{CAMERA}/32"]}]
    assert CAMERA not in repr(others)


HELD = table([grant(1, CAMERA, "aggregator"), grant(2, "fd00::1", "aggregator")], [cut(3, ROBOT)])


@settings(max_examples=150, deadline=None)
@given(changed(policies(HELD, NOW, "plant-1")))
def test_objects_that_were_changed_anywhere_are_refused_or_let_in_nobody_else(objects: Any) -> None:
    try:
        admitted, denied = admitted_by(objects)
    except NotCompiled:
        return
    assert {each.source for each in admitted} <= {CAMERA, "fd00::1"}
    assert denied <= {ROBOT}


DENYING = (("ingressDeny", "fromCIDR"), ("egressDeny", "toCIDR"))
EXISTS = {"key": "ztfm/service", "operator": "Exists"}
PORTS = [{"ports": [{"port": "443", "protocol": "TCP"}]}]
ODD = {"port": "0", "protocol": "TCP"}
WIDER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("everybody", {"ingress": [{"fromEntities": ["all"]}]}),
    ("all ports", {"ingress": [{"fromCIDR": [f"{CAMERA}/32"]}]}),
    ("no port", {"ingress": [{"fromCIDR": [f"{CAMERA}/32"], "toPorts": [{"ports": []}]}]}),
    ("a block", {"ingress": [{"fromCIDR": ["10.0.1.0/24"], "toPorts": PORTS}]}),
    ("nobody, which is an error", {"ingress": [{"fromCIDR": [], "toPorts": PORTS}]}),
    ("not closed", {"enableDefaultDeny": {"ingress": False, "egress": False}}),
    ("egress", {"egress": [{"toEntities": ["all"]}]}),
    ("one way", {"ingressDeny": [{"fromCIDR": [f"{CAMERA}/32"]}]}),
    ("all endpoints", {"endpointSelector": {}}),
    ("a port by another name", {"ingress": [{"fromCIDR": [f"{CAMERA}/32"], "toPorts": [{"ports": [ODD]}]}]}),
)


@pytest.mark.parametrize(("what", "change"), WIDER, ids=[what for what, _ in WIDER])
def test_an_object_that_lets_in_more_than_we_would_compile_is_told(what: str, change: dict[str, Any]) -> None:
    letting_in = compiled(table([grant(1, CAMERA, "gateway")]))[-1]
    with pytest.raises(NotCompiled, match="ztfm-gateway-0"):
        admitted_by([letting_in | {"spec": letting_in["spec"] | change}])


NARROWER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("some ports", {side: [{field: [f"{CAMERA}/32"], "toPorts": PORTS}] for side, field in DENYING}),
    ("some of it", {side: [{field: [f"{CAMERA}/32"], "icmps": []}] for side, field in DENYING}),
    ("some pods", {"endpointSelector": {"matchLabels": {"ztfm/service": "gateway"}}}),
    ("some of the pods", {"endpointSelector": {"matchExpressions": [EXISTS], "matchLabels": {"other": "label"}}}),
)


@pytest.mark.parametrize(("what", "change"), NARROWER, ids=[what for what, _ in NARROWER])
def test_an_object_that_denies_less_than_everything_is_not_taken_for_a_cut(what: str, change: dict[str, Any]) -> None:
    closing = compiled(table((), [cut(1, CAMERA)]))[0]
    assert admitted_by([closing])[1] == {CAMERA}
    with pytest.raises(NotCompiled, match="it denies"):
        admitted_by([closing | {"spec": closing["spec"] | change}])


def test_more_cuts_than_an_object_holds_are_denied_by_several_and_none_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cilium, "MAX_PEERS", 4)
    for number in (0, 1, 2, 3, 5):
        cuts = [cut(each, f"10.0.7.{each}") for each in range(number)]
        objects = compiled(table([], cuts, {"closed.1": SERVICES["gateway"]}))
        assert admitted_by(objects) == (frozenset(), {each.address for each in cuts})
        names = [each["metadata"]["name"] for each in objects]
        assert len(set(names)) == len(names) == max(1, -(-number // 2)) + 1
