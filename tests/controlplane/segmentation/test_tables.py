"""The table is whole, in one order, and named by what it lets through."""

import json

import pytest

from controlplane.contracts.segmentation import Cut, Grant, GrantTable, Service
from controlplane.segmentation.tables import revision_of, table_of
from tests.controlplane.segmentation.tables import AGGREGATOR, CAMERA, NOW, OTHER_CAMERA, SERVICES, cut, grant

GRANTS = [grant(2, CAMERA, "gateway"), grant(1, CAMERA, "aggregator")]


def made(grants: list[Grant], cuts: list[Cut] | None = None, now: float = NOW) -> GrantTable:
    return table_of(SERVICES, grants, cuts or [], policy_revision="rev-1", made_at=now)


def test_the_same_grants_are_the_same_table_in_whatever_order_and_whenever() -> None:
    first, second = made(GRANTS), made(GRANTS[::-1], now=NOW + 9)
    assert first.revision == second.revision
    assert [one.id for one in second.grants] == ["capability-1", "capability-2"]
    assert second.made_at == NOW + 9


def test_whatever_differs_in_what_passes_makes_another_revision() -> None:
    base = made(GRANTS)
    others = [
        made(GRANTS[:1]),
        made([GRANTS[0], GRANTS[1].model_copy(update={"expires_at": NOW + 301.0})]),
        made([GRANTS[0], GRANTS[1].model_copy(update={"source": OTHER_CAMERA})]),
        made(GRANTS, [cut(9, "10.0.4.4")]),
        table_of({"gateway": SERVICES["gateway"]}, GRANTS, [], policy_revision="rev-1", made_at=NOW),
    ]
    assert len({base.revision, *(other.revision for other in others)}) == 6


def test_what_has_ended_is_of_no_service_or_of_somebody_set_apart_is_not_in_it() -> None:
    kept = grant(5, CAMERA, "clock")
    table = made(
        [
            grant(1, CAMERA, "gateway", seconds=0),
            grant(2, CAMERA, "payroll"),
            grant(3, OTHER_CAMERA, "gateway"),
            grant(4, AGGREGATOR, "gateway"),
            kept,
        ],
        [cut(3, OTHER_CAMERA)],
    )
    assert table.grants == [kept]


def test_it_crosses_the_wire_as_it_is() -> None:
    table = made(GRANTS, [cut(3, OTHER_CAMERA)])
    read = GrantTable.model_validate_json(table.model_dump_json(exclude_none=True))
    assert read == table
    assert json.loads(table.model_dump_json())["revision"] == revision_of(read.services, read.grants, read.cuts)


@pytest.mark.parametrize(
    "address",
    [
        *("::ffff:a00:107", "::ffff:10.0.1.7", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1", "169.254.0.1"),
        *("255.255.255.255", "10.0.1.07", "fd00:0::1", "fe80::1%eth0", "1.2.3"),
    ],
)
def test_an_address_that_is_not_one_hosts_in_its_one_spelling_stands_nowhere_in_a_table(address: str) -> None:
    for build in (
        lambda: cut(1, address),
        lambda: grant(1, address, "gateway"),
        lambda: Service(audience="gateway", addresses=[address], ports=[443]),
    ):
        with pytest.raises(ValueError, match=r"address|pattern"):
            build()


def test_two_cuts_of_one_device_are_the_same_table_in_whatever_order() -> None:
    cuts = [cut(1, CAMERA), cut(1, OTHER_CAMERA)]
    assert made([], cuts).revision == made([], cuts[::-1]).revision
