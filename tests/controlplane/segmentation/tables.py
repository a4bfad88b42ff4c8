"""Grant tables for tests: by hand, and of any shape."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from controlplane.contracts.segmentation import Cut, Grant, GrantTable, Service

NOW = 1_800_000_000

CAMERA, OTHER_CAMERA, ROBOT = "10.0.1.7", "10.0.1.8", "10.0.2.9"
AGGREGATOR, GATEWAY, STRANGER = "10.0.9.2", "10.0.9.3", "10.0.9.4"

SERVICES = {
    "aggregator": Service(audience="aggregator", addresses=[AGGREGATOR, "fd00:9::2"], ports=[8080, 9092]),
    "gateway": Service(audience="gateway", addresses=[GATEWAY], ports=[443]),
    "clock": Service(audience="clock", addresses=["10.0.9.123"], protocol="udp", ports=[123]),
}


def grant(number: int, source: str, service: str, *, seconds: float = 300, **other: Any) -> Grant:
    """A grant that ends so many seconds after NOW; its device bears the number."""
    fields: dict[str, Any] = {
        "id": f"capability-{number}",
        "device": f"device-{number}",
        "source": source,
        "service": service,
        "expires_at": NOW + seconds,
        "decision": f"decision-{number}",
        "segment": "cameras",
        "site": "plant-1",
        "device_class": "camera",
    }
    return Grant(**fields | other)


def table(
    grants: Iterable[Grant] = (), cuts: Iterable[Cut] = (), services: dict[str, Service] | None = None
) -> GrantTable:
    """A table made at NOW."""
    return GrantTable(
        revision="0" * 64,
        policy_revision="test",
        made_at=NOW,
        services=SERVICES if services is None else services,
        grants=list(grants),
        cuts=list(cuts),
    )


def cut(number: int, address: str) -> Cut:
    """The device of that number, set apart."""
    return Cut(device=f"device-{number}", address=address, reason="quarantined")


_v4 = st.integers(1, 6).map("10.0.1.{}".format)
_v6 = st.integers(1, 6).map("fd00::{}".format)
addresses = _v4 | _v6
"""Few, so that devices, services and cuts meet."""

services = st.fixed_dictionaries(
    {
        name: st.builds(
            Service,
            audience=st.just(name),
            addresses=st.lists(addresses, min_size=1, max_size=3, unique=True),
            protocol=st.sampled_from(["tcp", "udp"]),
            ports=st.lists(st.sampled_from([22, 443, 8080]), min_size=1, max_size=2, unique=True),
        )
        for name in ("one", "two")
    }
)


@st.composite
def tables(draw: st.DrawFn) -> GrantTable:
    """Any table: of both families, with grants that ended, grants for the same flow, and cuts."""
    number = st.integers(1, 6)
    ends = st.integers(-10, 600) | st.floats(1.5, 600, allow_nan=False)
    asked = draw(st.lists(st.tuples(number, addresses, st.sampled_from(["one", "two"]), ends), max_size=8))
    grants = [grant(each, source, name, seconds=end) for each, source, name, end in asked]
    cuts = [cut(*each) for each in draw(st.lists(st.tuples(number, addresses), max_size=2))]
    return table(grants, cuts, draw(services))
