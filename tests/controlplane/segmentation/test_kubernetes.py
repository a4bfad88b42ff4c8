from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.contracts.segmentation import GrantTable, Service
from controlplane.segmentation.flows import Admission, admissions_of
from controlplane.segmentation.kubernetes import (
    SERVICE_LABEL,
    UNTIL,
    NotCompiled,
    TooManyPeers,
    admitted_by,
    differences,
    label_value,
    policies,
)
from tests.controlplane.segmentation.changed import changed
from tests.controlplane.segmentation.tables import CAMERA, NOW, ROBOT, cut, grant, table, tables
from tests.servers.schemas import SchemaMissing, network_policy

SERVICE_NAMES = st.from_regex(r"[a-z][a-z0-9_:.-]{0,63}", fullmatch=True)


@pytest.fixture(scope="module")
def published() -> Any:
    try:
        return jsonschema.Draft202012Validator(network_policy())
    except SchemaMissing as missing:
        pytest.skip(str(missing))


def compiled(any_table: GrantTable, **options: Any) -> list[dict[str, Any]]:
    return policies(any_table, NOW, "plant-1", **options)


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(1, 3))
def test_what_was_compiled_reads_back_as_the_table(any_table: GrantTable, shards: int) -> None:
    read = admitted_by(compiled(any_table, shards=shards))
    assert read == admissions_of(any_table, NOW).keys()


@settings(max_examples=25, deadline=None)
@given(any_table=tables(), shards=st.integers(1, 3))
def test_every_object_fits_the_published_schema(published: Any, any_table: GrantTable, shards: int) -> None:
    for each in yaml.safe_load_all(yaml.safe_dump_all(compiled(any_table, shards=shards))):
        published.validate(each)


def test_the_published_schema_tells_a_wrong_object(published: Any) -> None:
    [_, *letting_in] = compiled(table([grant(1, CAMERA, "gateway")]))
    letting_in[-1]["spec"]["ingress"] = [{"form": []}]
    with pytest.raises(jsonschema.ValidationError, match="form"):
        published.validate(letting_in[-1])


def test_the_first_object_closes_every_pod_that_is_of_a_service() -> None:
    closing = compiled(table())[0]
    assert closing["spec"] == {
        "podSelector": {"matchExpressions": [{"key": SERVICE_LABEL, "operator": "Exists"}]},
        "policyTypes": ["Ingress"],
        "ingress": [],
    }


def test_a_service_without_grants_lets_nobody_in_rather_than_everybody() -> None:
    for each in compiled(table()):
        assert each["spec"]["ingress"] == []


def test_the_names_of_objects_do_not_depend_on_grants() -> None:
    def names(any_table: GrantTable) -> list[str]:
        return [each["metadata"]["name"] for each in compiled(any_table, shards=2)]

    some = table([grant(n, f"10.0.3.{n}", "gateway") for n in range(1, 50)])
    assert names(some) == names(table())
    assert len(set(names(table()))) == 1 + 2 * 3


def test_an_object_says_until_when_it_may_stand() -> None:
    given_table = table([grant(1, CAMERA, "gateway", seconds=90), grant(2, ROBOT, "gateway", seconds=60.5)])
    [object_] = [each for each in compiled(given_table) if each["metadata"]["name"] == "ztfm-gateway-0"]
    assert object_["metadata"]["annotations"] == {UNTIL: str(NOW + 60)}


def test_a_device_that_is_cut_off_is_let_in_nowhere() -> None:
    assert not admitted_by(compiled(table([grant(1, CAMERA, "gateway")], [cut(1, CAMERA)])))


def test_only_the_services_of_a_namespace_are_compiled_for_it() -> None:
    found = compiled(table([grant(1, CAMERA, "gateway"), grant(2, CAMERA, "aggregator")]), services={"gateway", "no"})
    assert [each["metadata"]["name"] for each in found] == ["ztfm-closed", "ztfm-gateway-0"]
    assert admitted_by(found) == {Admission(CAMERA, "gateway", "tcp", 443)}


def test_more_addresses_than_an_object_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.segmentation.kubernetes.MAX_PEERS", 1)
    with pytest.raises(TooManyPeers, match="more shards"):
        compiled(table([grant(1, CAMERA, "gateway"), grant(2, ROBOT, "gateway")]))


@settings(max_examples=150, deadline=None)
@given(st.lists(SERVICE_NAMES, min_size=2, max_size=2, unique=True))
@example(["a:b", "a_b"])
@example(["a-", "a"])
@example(["a--b", "a-b"])
def test_every_service_has_a_label_of_its_own_that_kubernetes_takes(names: list[str]) -> None:
    values = [label_value(name) for name in names]
    again = label_value(values[0])
    assert values[0] != values[1]
    assert again == values[0] or values[0] != names[0]
    for value in values:
        assert len(value) <= 50
        assert value.replace("-", "").replace(".", "").isalnum() and value == value.lower()
        assert value[0].isalnum() and value[-1].isalnum() and ".." not in value


def test_a_name_that_looks_as_if_it_were_made_is_not_another_services_label() -> None:
    made = label_value("line:2")
    assert label_value(made) != made


def test_a_long_name_fits(published: Any) -> None:
    services = {"a" * 64: Service(audience="x", addresses=["10.0.0.1"], ports=[1])}
    given_table = table([grant(1, CAMERA, "a" * 64)], services=services)
    for each in compiled(given_table):
        published.validate(each)
        assert len(each["metadata"]["name"]) <= 63


HELD = table([grant(1, CAMERA, "aggregator"), grant(2, "fd00::1", "aggregator"), grant(3, ROBOT, "gateway")])


@settings(max_examples=150, deadline=None)
@given(changed(policies(HELD, NOW, "plant-1")))
def test_objects_that_were_changed_anywhere_are_refused_or_let_in_nobody_else(objects: Any) -> None:
    try:
        found = admitted_by(objects)
    except NotCompiled:
        return
    assert {each.source for each in found} <= {CAMERA, "fd00::1", ROBOT}


@settings(max_examples=150, deadline=None)
@given(changed([each["spec"] for each in policies(HELD, NOW, "plant-1")]))
def test_what_differs_in_a_cluster_is_told(specs: list[Any]) -> None:
    meant = policies(HELD, NOW, "plant-1")
    found = [{**each, "spec": spec} for each, spec in zip(meant, specs, strict=False)]
    assert differences(meant, meant) == []
    try:
        is_same = admitted_by(found) == admitted_by(meant)
    except NotCompiled:
        is_same = False
    assert is_same or differences(meant, found)


def test_an_empty_list_that_a_server_leaves_out_is_no_difference() -> None:
    meant = compiled(table())
    shown = [{**each, "spec": {k: v for k, v in each["spec"].items() if k != "ingress"}} for each in meant]
    assert differences(meant, shown) == []
    assert admitted_by(shown) == frozenset()


def test_what_is_left_over_and_what_is_missing_are_told_by_name() -> None:
    meant = compiled(table())
    old = {**meant[1], "metadata": {"name": "ztfm-old-0"}}
    assert differences(meant, [*meant[1:], old]) == ["`ztfm-closed` is missing", "`ztfm-old-0` is left over: delete it"]


PORTS = [{"protocol": "TCP", "port": 443}]
WIDER: tuple[tuple[str, Any], ...] = (
    ("everybody", {"ingress": [{}]}),
    ("all ports", {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.1.7/32"}}], "ports": []}]}),
    ("all addresses", {"ingress": [{"from": [], "ports": PORTS}]}),
    ("a block", {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.1.0/24"}}], "ports": PORTS}]}),
    ("pods", {"ingress": [{"from": [{"podSelector": {}}], "ports": PORTS}]}),
    (
        "a range",
        {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.1.7/32"}}], "ports": [PORTS[0] | {"endPort": 900}]}]},
    ),
    ("egress", {"policyTypes": ["Ingress", "Egress"]}),
    ("all pods", {"podSelector": {}}),
)


@pytest.mark.parametrize(("what", "change"), WIDER, ids=[what for what, _ in WIDER])
def test_an_object_that_lets_in_more_than_we_would_compile_is_told(what: str, change: dict[str, Any]) -> None:
    [_, _, _, letting_in] = compiled(table([grant(1, CAMERA, "gateway")]))
    assert letting_in["metadata"]["name"] == "ztfm-gateway-0"
    with pytest.raises(NotCompiled, match="ztfm-gateway-0"):
        admitted_by([letting_in | {"spec": letting_in["spec"] | change}])
