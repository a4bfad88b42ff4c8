import json
import re
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation import nftables
from controlplane.segmentation.diff import deviation
from controlplane.segmentation.flows import Flow, Rules, TooManyFlows, rules_of
from controlplane.segmentation.reachability import NotUnderstood, reach, reaching
from controlplane.segmentation.rulesets import NotAsCompiled, parse, read
from tests.controlplane.segmentation.changed import changed
from tests.controlplane.segmentation.kernels import Nft, kernel_alone
from tests.controlplane.segmentation.tables import AGGREGATOR, CAMERA, GATEWAY, NOW, ROBOT, cut, grant, table, tables

DOCUMENT = Path(__file__).parents[3] / "docs" / "segmentation-compilers.md"
FLOW = Flow(CAMERA, AGGREGATOR, "tcp", 8080)
SIX = Flow("fd00:1::7", "fd00:9::2", "udp", 9092)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Nft]:
    with kernel_alone() as nft:
        yield nft


def rules(*cuts: str, seconds: int = 300) -> Rules:
    end = int(time.time()) + seconds
    return Rules({FLOW: end, SIX: end + 60}, frozenset(cuts))


def is_in_force(kernel: Nft, meant: Rules) -> bool:
    listing, now = kernel.listing(), time.time()
    # On a machine that is busy the kernel may have the elements much later than they were compiled.
    return not deviation(meant, read(listing, now), now, slack=20.0)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_what_was_compiled_reads_back_as_the_table(any_table: GrantTable) -> None:
    meant = rules_of(any_table, NOW)
    found = read(nftables.installing(meant, NOW), NOW)
    assert not deviation(meant, found, NOW)
    assert found.flows.keys() <= meant.flows.keys()
    assert found.cut == {each.address for each in any_table.cuts}


@settings(max_examples=60, deadline=None)
@given(tables())
def test_no_element_outlives_its_grant_and_none_is_without_an_end(any_table: GrantTable) -> None:
    ends = rules_of(any_table, NOW).flows
    ruleset = parse(nftables.installing(Rules(ends), NOW))
    for name in ("grants4", "grants6"):
        for key, left in ruleset.sets[name].elements.items():
            assert left is not None and left > 0
            assert NOW + left + nftables.LEAD <= ends[Flow(*key)]  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(tables())
def test_every_flow_is_of_a_grant_and_nobody_cut_off_is_in_one(any_table: GrantTable) -> None:
    cut_devices = {each.device for each in any_table.cuts}
    named = {
        (each.source, each.service): each.expires_at
        for each in sorted(any_table.grants, key=lambda grant: grant.expires_at)
        if each.device not in cut_devices
    }
    compiled = rules_of(any_table, NOW)
    for flow, end in compiled.flows.items():
        assert not {flow.source, flow.destination} & compiled.cut
        assert any(
            flow.source == source
            and end <= expires
            and flow.destination in any_table.services[service].addresses
            and (flow.protocol, flow.port)
            in {(any_table.services[service].protocol, port) for port in any_table.services[service].ports}
            for (source, service), expires in named.items()
        )


def test_a_grant_that_ended_compiles_to_nothing() -> None:
    over = table([grant(1, CAMERA, "aggregator", seconds=0), grant(2, ROBOT, "gateway", seconds=-1)])
    assert rules_of(over, NOW) == Rules()


def test_of_two_grants_for_a_flow_the_later_end_counts() -> None:
    both = table([grant(1, CAMERA, "gateway", seconds=100), grant(2, CAMERA, "gateway", seconds=50)])
    assert rules_of(both, NOW).flows == {Flow(CAMERA, GATEWAY, "tcp", 443): NOW + 100}


def test_a_cut_device_keeps_no_grant_from_another_address() -> None:
    moved = table([grant(1, CAMERA, "gateway"), grant(2, ROBOT, "gateway")], [cut(1, "10.0.1.99")])
    assert {flow.source for flow in rules_of(moved, NOW).flows} == {ROBOT}


def test_a_table_that_no_kernel_should_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.segmentation.flows.MAX_FLOWS", 3)
    with pytest.raises(TooManyFlows, match="fewer addresses"):
        rules_of(table([grant(1, CAMERA, "aggregator"), grant(2, ROBOT, "aggregator")]), NOW)


def test_the_kernel_takes_the_commands_and_what_it_lists_is_what_was_meant(kernel: Nft) -> None:
    meant = rules("10.0.1.66", "fd00:1::66")
    kernel.apply(nftables.installing(meant, time.time()))
    assert is_in_force(kernel, meant)


def test_the_file_and_the_commands_make_the_same_table(kernel: Nft) -> None:
    meant = rules("10.0.1.66", "fd00:1::66")
    kernel.apply(nftables.installing(meant, NOW))
    by_commands = kernel.run("--stateless", "list", "ruleset")
    kernel.run("flush", "ruleset")
    text = nftables.file_of(meant, NOW)
    kernel.run("--check", "-f", "-", given=text)
    assert kernel.run("list", "ruleset") == ""
    kernel.run("-f", "-", given=text)
    assert kernel.run("--stateless", "list", "ruleset") == by_commands


def test_an_address_that_nft_writes_otherwise_is_the_same_address(kernel: Nft) -> None:
    mapped = str(ip_address("::ffff:10.0.1.7"))
    meant = Rules({SIX._replace(source=mapped): int(time.time()) + 60}, frozenset({mapped}))
    kernel.apply(nftables.installing(meant, time.time()))
    assert is_in_force(kernel, meant)


def test_a_listing_with_numbers_for_protocols_and_one_word_for_a_flag_reads_the_same() -> None:
    listing = nftables.installing(Rules({FLOW: NOW + 60, SIX: NOW + 60}), NOW)
    text = json.dumps(listing).replace('"tcp"', "6").replace('"udp"', "17").replace('["timeout"]', '"timeout"')
    assert read(json.loads(text), NOW) == read(listing, NOW)
    assert reach(parse(json.loads(text)), FLOW, NOW).reaches


def test_a_table_without_grants_drops_whatever_is_forwarded(kernel: Nft) -> None:
    kernel.apply(nftables.installing(Rules(), NOW))
    assert read(kernel.listing(), NOW) == Rules()
    assert "hook forward priority filter; policy drop;" in kernel.run("list", "ruleset")


def test_the_rules_for_a_routers_own_ports_that_the_document_shows_load(kernel: Nft) -> None:
    [shown] = re.findall(r"```nft\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    kernel.run("--check", "-f", "-", given=shown)


def test_elements_are_replaced_without_a_touch_to_the_chains(kernel: Nft) -> None:
    kernel.apply(nftables.installing(rules("10.0.1.66"), time.time()))
    chains = [entry for entry in kernel.listing()["nftables"] if "rule" in entry]
    meant = Rules({FLOW._replace(port=9092): int(time.time()) + 90}, frozenset({"10.0.1.67"}))
    kernel.apply(nftables.replacing(meant, time.time()))
    assert is_in_force(kernel, meant)
    assert [entry for entry in kernel.listing()["nftables"] if "rule" in entry] == chains


def test_changes_hold_for_elements_that_the_kernel_dropped_or_never_had(kernel: Nft) -> None:
    now = time.time()
    before, end = rules("10.0.1.66"), int(now) + 30
    kernel.apply(nftables.installing(Rules({FLOW: before.flows[FLOW]}), now))
    after = Rules({FLOW: end, FLOW._replace(port=22): end}, frozenset({"10.0.1.67"}))
    kernel.apply(nftables.changing(before, after, now))
    assert is_in_force(kernel, after)


def test_changes_say_nothing_of_what_stays() -> None:
    before = Rules({FLOW: NOW + 100, SIX: NOW + 100}, frozenset({"10.0.1.66"}))
    after = Rules({FLOW: NOW + 100}, frozenset({"10.0.1.66", "10.0.1.67"}))
    told = repr(nftables.changing(before, after, NOW))
    assert SIX.source in told and "10.0.1.67" in told
    assert FLOW.source not in told and "10.0.1.66" not in told
    assert nftables.changing(before, before, NOW) == {"nftables": []}


def test_a_file_that_does_not_load_leaves_what_was_there(kernel: Nft) -> None:
    meant = rules()
    kernel.apply(nftables.installing(meant, time.time()))
    broken = nftables.installing(Rules({FLOW: NOW * 2}, frozenset({"10.0.1.66"})), NOW)
    broken["nftables"].append({"add": {"rule": {"family": "inet", "table": "ztfm", "chain": "none", "expr": []}}})
    with pytest.raises(RuntimeError, match="No such file"):
        kernel.apply(broken)
    assert is_in_force(kernel, meant)


FOREIGN = (
    ("insert rule inet ztfm forward accept", "chain forward has other rules"),
    ("add rule inet ztfm input tcp dport 22 accept", "chain input has other rules"),
    ("add chain inet ztfm other", "chain other is not ours"),
    ("chain inet ztfm forward { policy accept; }", "chain forward is hooked in otherwise"),
    ("add table inet ztfm { flags dormant; }", "flags"),
    ("delete table inet ztfm", "nothing filters here"),
    ("add set inet ztfm more { type ipv4_addr; }", "set more is not ours"),
    ("add element inet ztfm grants4 { 10.0.1.7 . 10.0.9.2 . tcp . 22 }", "it never ends"),
    ("add element inet ztfm grants4 { 10.0.1.7 . 10.0.9.2 . icmp . 22 timeout 1m }", "a protocol that we know"),
    ("add counter inet ztfm seen", "the table has a counter"),
)


@pytest.mark.parametrize(("command", "told"), FOREIGN, ids=[command for command, _ in FOREIGN])
def test_what_somebody_else_put_into_the_kernel_is_found(kernel: Nft, command: str, told: str) -> None:
    kernel.apply(nftables.installing(rules(), time.time()))
    kernel.run(command)
    with pytest.raises(NotAsCompiled, match=told):
        read(kernel.listing(), time.time())


MEANT = Rules({FLOW: NOW + 60, SIX: NOW + 60}, frozenset({"10.0.1.66"}))


@settings(max_examples=150, deadline=None)
@given(changed(nftables.installing(MEANT, NOW)))
def test_a_listing_that_was_changed_anywhere_is_refused_or_read_as_what_it_says(listing: Any) -> None:
    try:
        found = read(listing, NOW)
    except NotAsCompiled:
        return
    chains = [entry["add"] for entry in listing["nftables"] if {"chain", "rule"} & entry.get("add", {}).keys()]
    wanted = [entry["add"] for entry in nftables.installing(Rules(), NOW)["nftables"] if "add" in entry]
    assert chains == [entry for entry in wanted if {"chain", "rule"} & entry.keys()]
    assert len(found.flows) <= 2 and len(found.cut) <= 1


@settings(max_examples=150, deadline=None)
@given(changed(nftables.installing(MEANT, NOW)))
def test_what_can_be_reached_by_changed_rules_is_answered_or_refused(listing: Any) -> None:
    try:
        ruleset = parse(listing)
        answers = [reach(ruleset, FLOW, NOW), *reaching(ruleset, NOW)]
    except (NotAsCompiled, NotUnderstood):
        return
    assert all(each.because for each in answers)


def test_an_element_that_nobody_meant_is_a_deviation(kernel: Nft) -> None:
    meant = rules("10.0.1.66")
    kernel.apply(nftables.installing(meant, time.time()))
    kernel.run("add element inet ztfm grants4 { 10.0.1.7 . 10.0.9.2 . tcp . 22 timeout 60s }")
    kernel.run("delete element inet ztfm cut4 { 10.0.1.66 }")
    found = deviation(meant, read(kernel.listing(), time.time()), time.time(), slack=20.0)
    assert list(found.opened) == [FLOW._replace(port=22)]
    assert found.restored == {"10.0.1.66"}


def test_a_flowtable_of_any_table_is_a_way_past_the_rules() -> None:
    listing: dict[str, Any] = nftables.installing(Rules(), NOW)
    listing["nftables"].append({"flowtable": {"family": "ip", "table": "fast", "name": "past", "hook": "ingress"}})
    with pytest.raises(NotAsCompiled, match="flowtable `past` of table fast"):
        read(listing, NOW)


@pytest.mark.parametrize("listing", [None, [], {}, {"nftables": {}}, {"nftables": [{}]}, {"nftables": [{"set": 1}]}])
def test_what_is_no_listing_is_refused(listing: Any) -> None:
    with pytest.raises(NotAsCompiled):
        read(listing, NOW)


def test_a_rule_of_any_table_that_sends_packets_on_by_itself_is_a_way_past_the_rules() -> None:
    tee = {"xt": {"type": "target", "name": "TEE"}}
    for statement in ({"fwd": {"dev": "eth1"}}, {"dup": {"addr": "10.0.9.2", "dev": "eth1"}}, tee):
        rule = {"family": "netdev", "table": "fast", "chain": "in", "handle": 2, "expr": [statement]}
        listing: dict[str, Any] = nftables.installing(Rules(), NOW)
        listing["nftables"].append({"rule": rule})
        with pytest.raises(NotAsCompiled, match="a rule of table fast sends packets on"):
            read(listing, NOW)


def test_of_several_grants_for_a_flow_the_end_of_one_neither_ends_nor_prolongs_the_other(kernel: Nft) -> None:
    longer, shorter = (grant(number, CAMERA, "aggregator", seconds=left) for number, left in ((1, 600), (2, 90)))
    both = rules_of(table([shorter, longer, shorter.model_copy(update={"id": "third"})]), NOW)
    for left in (longer, shorter):
        after = rules_of(table([left]), NOW)
        kernel.apply(nftables.installing(both, NOW))
        assert abs(read(kernel.listing(), NOW).flows[FLOW] - longer.expires_at) < 20
        kernel.apply(nftables.changing(both, after, NOW))
        assert abs(read(kernel.listing(), NOW).flows[FLOW] - left.expires_at) < 20
    # What ended by itself leaves the other where it was, and what both had comes no later.
    assert rules_of(table([shorter, longer]), NOW + 90) == rules_of(table([longer]), NOW + 90)


@pytest.mark.parametrize(
    ("left", "told"), [({"timeout": 0}, "never ends"), ({"expires": -1}, "-1"), ({}, "never ends")]
)
def test_an_element_whose_time_is_none_is_not_taken_for_one_that_ends(left: dict[str, int], told: str) -> None:
    listing: dict[str, Any] = nftables.installing(Rules({FLOW: NOW + 60}), NOW)
    [held] = [entry["add"]["element"] for entry in listing["nftables"] if "element" in entry.get("add", {})]
    held["elem"] = [{"elem": {"val": held["elem"][0]["elem"]["val"], **left}}]
    with pytest.raises(NotAsCompiled, match=told):
        read(listing, NOW)
