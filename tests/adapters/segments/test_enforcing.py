"""Rules and the kernel: whole or not at all, read back, and closed where nothing else is left."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from adapters.segments.enforcing import CLOSED, Enforcement
from adapters.segments.errors import NftablesMissing, NotAsApplied, RulesRefused
from adapters.segments.generation import generation
from adapters.segments.libnftables import LibNftables, Nftables, NftProgram
from controlplane.segmentation.flows import Rules
from tests.adapters.segments.plant import Plant, flow

END = int(time.time()) + 86_400
CAMERA, SENSOR = flow("camera", "gateway"), flow("sensor", "gateway")


class Meddling:
    """The real kernel, and somebody who does something more after each transaction, or in its place."""

    def __init__(self, kernel: Nftables, meddle: Callable[[Any], Any]) -> None:
        self.kernel = kernel
        self.meddle = meddle

    def run(self, commands: Any) -> None:
        self.kernel.run({"nftables": self.meddle(commands["nftables"])})

    def listing(self, family: str, table: str) -> Any:
        return self.kernel.listing(family, table)


def also(*more: dict[str, Any], once: bool = True) -> Callable[[Any], Any]:
    """What adds commands to a transaction: the first only, or each."""
    left = [list(more)]

    def _also(commands: list[Any]) -> list[Any]:
        added = left[0]
        if once:
            left[0] = []
        return [*commands, *added]

    return _also


ACCEPTS = {"add": {"rule": {"family": "inet", "table": "ztfm", "chain": "forward", "expr": [{"accept": None}]}}}
FAILS = {"add": {"rule": {"family": "inet", "table": "ztfm", "chain": "nowhere", "expr": [{"accept": None}]}}}


@pytest.mark.parametrize("kind", [LibNftables, NftProgram])
def test_the_library_and_the_program_enforce_alike(plant: Plant, kind: Callable[[], Nftables]) -> None:
    try:
        enforcement = Enforcement(kind())
    except NftablesMissing as missing:
        pytest.skip(str(missing))
    try:
        for rules in (CLOSED, Rules({CAMERA: END}), Rules({SENSOR: END}, frozenset({CAMERA.source}))):
            plant.router.call(enforcement.apply, rules)
            assert plant.router.call(enforcement.differences) == []
        assert plant.reached([CAMERA, SENSOR]) == {SENSOR}
        with pytest.raises(RulesRefused, match="No such file or directory"):
            plant.router.call(enforcement._kernel.run, {"nftables": [{"flush": {"set": SET}}, FAILS]})
        assert plant.router.call(enforcement.differences) == []
    finally:
        plant.router.run("nft", "flush", "ruleset")


SET = {"family": "inet", "table": "ztfm", "name": "grants4"}


def test_what_was_read_back_otherwise_leaves_no_more_than_both_let_through(
    plant: Plant, enforcement: Enforcement
) -> None:
    plant.router.call(enforcement.apply, Rules({CAMERA: END, SENSOR: END}))
    enforcement._kernel = Meddling(enforcement._kernel, also(ACCEPTS))
    visitor = flow("visitor", "gateway")
    with pytest.raises(NotAsApplied, match="chain forward has other rules"):
        plant.router.call(enforcement.apply, Rules({CAMERA: END, visitor: END}))
    assert enforcement.rules == Rules({CAMERA: END})
    assert plant.reached(plant.everything()) == {CAMERA}


def test_where_nothing_can_be_put_back_nothing_passes_and_the_next_good_rules_do(
    plant: Plant, enforcement: Enforcement
) -> None:
    plant.router.call(enforcement.apply, Rules({CAMERA: END}))
    honest = enforcement._kernel
    enforcement._kernel = Meddling(honest, also(ACCEPTS, once=False))
    with pytest.raises(NotAsApplied):
        plant.router.call(enforcement.apply, Rules({SENSOR: END}))
    assert plant.reached(plant.everything()) == set()
    enforcement._kernel = honest
    plant.router.call(enforcement.apply, Rules({SENSOR: END}))
    assert plant.reached(plant.everything()) == {SENSOR}
    assert "ztfm_shut" not in plant.router.run("nft", "list", "tables")


def test_a_change_that_is_refused_is_tried_as_a_whole_table_before_it_is_given_up(
    plant: Plant, enforcement: Enforcement
) -> None:
    plant.router.call(enforcement.apply, Rules({CAMERA: END}))
    # What the kernel has is not what the next change is counted from.
    plant.router.run("nft", "delete table inet ztfm; add table inet ztfm")
    enforcement._generation = lambda: enforcement._compared
    plant.router.call(enforcement.apply, Rules({SENSOR: END}))
    assert plant.reached(plant.everything()) == {SENSOR}


@pytest.mark.parametrize(
    "command",
    [
        "flush ruleset",
        "flush chain inet ztfm forward",
        "add rule inet ztfm forward accept",
        "chain inet ztfm forward { policy accept; }",
        "add element inet ztfm grants4 { 192.168.2.10 . 10.10.0.20 . tcp . 8443 timeout 1h }",
        "delete element inet ztfm grants4 { 192.168.1.10 . 10.10.0.20 . tcp . 8443 }",
        "add element inet ztfm cut4 { 192.168.1.10 }",
        "add table inet ztfm { flags dormant; }",
    ],
)
def test_what_somebody_else_changes_is_noticed_and_put_back(
    plant: Plant, enforcement: Enforcement, command: str
) -> None:
    plant.router.call(enforcement.apply, Rules({CAMERA: END}))
    assert not plant.router.call(enforcement.is_touched)
    plant.router.run("nft", command)
    assert plant.router.call(enforcement.is_touched)
    assert plant.router.call(enforcement.hold) != []
    assert plant.router.call(enforcement.hold) == []
    assert plant.reached([CAMERA, SENSOR]) == {CAMERA}


def test_rules_of_others_beside_ours_are_left_alone(plant: Plant, enforcement: Enforcement) -> None:
    plant.router.run("nft", "add table ip others; add chain ip others pre { type filter hook prerouting priority 0; }")
    assert plant.router.call(enforcement.is_touched)
    assert plant.router.call(enforcement.hold) == []
    assert not plant.router.call(enforcement.is_touched)
    assert "table ip others" in plant.router.run("nft", "list", "tables")


def test_that_time_removes_elements_changes_no_generation(plant: Plant) -> None:
    try:
        plant.router.run("nft", "add table inet z; add set inet z s { type ipv4_addr; flags timeout; }")
        plant.router.run("nft", "add element inet z s { 10.0.0.1 timeout 200ms }")
        before = plant.router.call(generation)
        time.sleep(0.4)
        assert "10.0.0.1" not in plant.router.run("nft", "list", "ruleset")
        assert plant.router.call(generation) == before
        plant.router.run("nft", "add element inet z s { 10.0.0.1 timeout 200ms }")
        assert plant.router.call(generation) != before
    finally:
        plant.router.run("nft", "flush", "ruleset")


def test_a_slow_kernel_lets_no_flow_live_longer_than_its_grant(plant: Plant, enforcement: Enforcement) -> None:
    clock = [1_800_000_000.0]
    slow = Meddling(enforcement._kernel, lambda commands: commands)

    def _late(commands: list[Any]) -> list[Any]:
        # Of a set's time the kernel counts nothing before it has it.
        clock[0] += 5.0
        return commands

    slow.meddle = _late
    enforcement._kernel, enforcement._clock = slow, lambda: clock[0]
    end = int(clock[0]) + 100
    plant.router.call(enforcement.apply, Rules({CAMERA: end}))
    listing = enforcement._kernel.kernel
    found: Any = plant.router.call(listing.listing, "inet", "ztfm")
    left = [one["set"]["elem"][0]["elem"]["expires"] for one in found["nftables"] if one.get("set", {}).get("elem")]
    assert 60 < left[0] <= end - clock[0]


PAST = (
    "add table netdev past; add chain netdev past in { type filter hook ingress device lo priority 0; }; "
    "add set netdev past s { type ipv4_addr; }; add rule netdev past in ip saddr @s fwd to lo"
)
"""Rules that send packets where no forward chain is."""


@pytest.mark.parametrize("kind", [LibNftables, NftProgram])
def test_rules_of_another_table_that_send_packets_past_ours_are_noticed_and_shut_the_router(
    plant: Plant, enforcement: Enforcement, kind: Callable[[], Nftables]
) -> None:
    enforcement._kernel = kind()
    plant.router.call(enforcement.apply, Rules({CAMERA: END}))
    plant.router.run("nft", PAST)
    assert plant.router.call(enforcement.is_touched)
    [told] = plant.router.call(enforcement.hold)
    assert told == "a rule of table past sends packets on beside all rules, with `fwd`"
    assert plant.reached([CAMERA]) == set()
    with pytest.raises(NotAsApplied, match="table past sends packets on"):
        plant.router.call(enforcement.apply, Rules({CAMERA: END}))
    assert plant.reached([CAMERA]) == set()
    plant.router.run("nft", "delete table netdev past")
    plant.router.call(enforcement.apply, Rules({CAMERA: END}))
    assert plant.reached([CAMERA, SENSOR]) == {CAMERA}
