import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from itertools import product

import pytest
from hypothesis import given, settings

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation import nftables
from controlplane.segmentation.flows import Flow, Rules, rules_of
from controlplane.segmentation.reachability import NotUnderstood, Packet, judge, reach, reaching
from controlplane.segmentation.rulesets import Ruleset, parse
from tests.controlplane.segmentation.tables import (
    AGGREGATOR,
    CAMERA,
    GATEWAY,
    NOW,
    OTHER_CAMERA,
    ROBOT,
    STRANGER,
    cut,
    grant,
    table,
    tables,
)
from tests.servers.namespaces import Node, NoNamespaces, nodes

FLOW = Flow(CAMERA, AGGREGATOR, "tcp", 8080)
SIX = Flow("fd00:1::7", "fd00:9::2", "tcp", 8080)
ADDRESSES = [*(f"10.0.1.{n}" for n in range(1, 7)), *(f"fd00::{n}" for n in range(1, 7))]


def compiled(rules: Rules, now: float = NOW) -> Ruleset:
    return parse(nftables.installing(rules, now))


@settings(max_examples=12, deadline=None)
@given(tables())
def test_what_no_grant_names_reaches_nothing_and_what_one_names_does(any_table: GrantTable) -> None:
    rules = rules_of(any_table, NOW)
    ruleset = compiled(rules)
    for flow in map(Flow._make, product(ADDRESSES, ADDRESSES, ("tcp", "udp"), (22, 443, 8080))):
        left = rules.flows.get(flow, NOW) - NOW
        assert reach(ruleset, flow, NOW).reaches is (left >= 1 + nftables.LEAD)


@settings(max_examples=25, deadline=None)
@given(tables())
def test_all_that_can_be_reached_is_what_the_flows_say(any_table: GrantTable) -> None:
    rules = rules_of(any_table, NOW)
    found = {
        Flow(each.source, each.destination, each.protocol, each.port): each for each in reaching(compiled(rules), NOW)
    }
    assert found.keys() == {flow for flow, end in rules.flows.items() if end - NOW >= 1 + nftables.LEAD}
    assert all(each.until is not None and each.until <= rules.flows[flow] for flow, each in found.items())


@pytest.mark.parametrize("flow", [FLOW, SIX])
def test_only_answers_come_back(flow: Flow) -> None:
    ruleset = compiled(Rules({flow: NOW + 60}))
    assert judge(ruleset, Packet(flow, "reply", "established")).passes
    assert not judge(ruleset, Packet(flow, "reply", "new")).passes
    assert not reach(ruleset, Flow(flow.destination, flow.source, "tcp", 8080), NOW).reaches


@pytest.mark.parametrize("flow", [FLOW, SIX])
def test_a_running_connection_ends_with_its_flow_in_both_directions(flow: Flow) -> None:
    ruleset = compiled(Rules({flow._replace(port=22): NOW + 60}))
    assert not judge(ruleset, Packet(flow, "original", "established")).passes
    assert not judge(ruleset, Packet(flow, "reply", "established")).passes


@pytest.mark.parametrize("end", ["source", "destination"])
def test_a_cut_comes_before_any_grant_and_in_both_directions(end: str) -> None:
    ruleset = compiled(Rules({FLOW: NOW + 60}, frozenset({getattr(FLOW, end)})))
    for packet in (Packet(FLOW), Packet(FLOW, "original", "established"), Packet(FLOW, "reply", "established")):
        assert not judge(ruleset, packet).passes


def test_a_forged_source_and_a_packet_that_tracking_calls_invalid_do_not_pass() -> None:
    ruleset = compiled(Rules({FLOW: NOW + 60}))
    assert not judge(ruleset, Packet(FLOW, is_forged=True)).passes
    assert not judge(ruleset, Packet(FLOW, state="invalid")).passes


def test_an_answer_names_its_ground() -> None:
    given_table = table([grant(1, CAMERA, "aggregator"), grant(2, ROBOT, "gateway")], [cut(9, ROBOT)])
    ruleset = compiled(rules_of(given_table, NOW))
    yes = reach(ruleset, FLOW, NOW, given_table)
    assert (yes.reaches, yes.until) == (True, NOW + 299)
    assert yes.because.startswith("grant capability-1 (rule ")
    isolated = reach(ruleset, Flow(ROBOT, GATEWAY, "tcp", 443), NOW, given_table)
    assert isolated.because.startswith("cut off: device-9 (quarantined)")
    assert "policy is to drop" in reach(ruleset, FLOW._replace(port=22), NOW, given_table).because
    assert "no packets" in reach(ruleset, FLOW._replace(destination="fd00::1"), NOW).because


def test_rules_of_others_are_followed_where_they_are_understood_and_refused_where_not() -> None:
    def with_rule(*expressions: dict[str, object]) -> Ruleset:
        commands = nftables.installing(Rules(), NOW)
        rule = {"family": "inet", "table": "ztfm", "chain": "forward", "expr": list(expressions)}
        commands["nftables"].append({"add": {"rule": rule}})
        return parse(commands)

    port = {"payload": {"protocol": "th", "field": "dport"}}
    opened = with_rule(
        {"match": {"op": "==", "left": port, "right": 8080}}, {"counter": {"packets": 0, "bytes": 0}}, {"accept": None}
    )
    assert not reach(opened, FLOW, NOW).reaches, "answers have no such port"
    assert judge(opened, Packet(FLOW)).passes
    assert reach(with_rule({"accept": None}), FLOW, NOW).until is None
    marked = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}
    for strange in ([marked], [{"jump": {"target": "other"}}], [{"match": {"op": "!=", "left": port, "right": 1}}]):
        with pytest.raises(NotUnderstood):
            reach(with_rule(*strange), FLOW, NOW)


@pytest.fixture(scope="module")
def site() -> Iterator[dict[str, Node]]:
    """A router, with two cameras, a robot, and three servers that listen on some ports."""
    try:
        with nodes("router", CAMERA, OTHER_CAMERA, ROBOT, AGGREGATOR, GATEWAY, STRANGER) as [router, *hosts]:
            router.settings(ipv4__ip_forward=1)
            for number, host in enumerate(hosts):
                router.join(host, f"10.9.{number}.1", host.name)
            yield {host.name: host for host in [router, *hosts]}
    except NoNamespaces as missing:
        pytest.skip(str(missing))


def test_the_answer_agrees_with_real_packets(site: dict[str, Node]) -> None:
    grants = [grant(1, CAMERA, "aggregator"), grant(2, ROBOT, "gateway"), grant(3, OTHER_CAMERA, "gateway")]
    now = time.time()
    rules = rules_of(table(grants, [cut(3, OTHER_CAMERA)]), NOW)
    rules = Rules({flow: int(now) + 60 for flow in rules.flows}, rules.cut)
    site["router"].run("nft", "-j", "-f", "-", given=json.dumps(nftables.installing(rules, now)))
    ruleset = parse(json.loads(site["router"].run("nft", "-j", "list", "ruleset")))
    hosts, ports = sorted(site.keys() - {"router"}), (443, 8080)
    listening = [site[host].listen(port) for host in hosts for port in ports]
    try:
        asked = [Flow(a, b, "tcp", port) for a, b in product(hosts, hosts) if a != b for port in ports]
        told = {flow: reach(ruleset, flow, now).reaches for flow in asked}
        with ThreadPoolExecutor(len(asked)) as at_once:
            tried = at_once.map(lambda flow: site[flow.source].reaches(flow.destination, flow.port, seconds=2.0), asked)
            real = dict(zip(asked, tried, strict=True))
    finally:
        for each in listening:
            each.close()
    assert told == real
    assert [flow for flow in asked if told[flow]] == [
        Flow(CAMERA, AGGREGATOR, "tcp", 8080),
        Flow(ROBOT, GATEWAY, "tcp", 443),
    ]


def test_an_address_of_another_segment_cannot_be_borrowed(site: dict[str, Node]) -> None:
    rules = Rules({Flow(CAMERA, AGGREGATOR, "udp", 123): int(time.time()) + 60})
    site["router"].run("nft", "-j", "-f", "-", given=json.dumps(nftables.installing(rules, time.time())))
    site[ROBOT].run("ip", "address", "add", CAMERA, "dev", "lo")
    server = site[AGGREGATOR].listen(123, socket.SOCK_DGRAM)
    server.settimeout(20)
    forged, true = site[ROBOT].plug(socket.SOCK_DGRAM), site[CAMERA].plug(socket.SOCK_DGRAM)
    try:
        for sender, said in ((forged, b"forged"), (true, b"true")):
            sender.bind((CAMERA, 0))
            sender.sendto(said, (AGGREGATOR, 123))
        assert server.recv(16) == b"true"
    finally:
        for each in (forged, true, server):
            each.close()
        site[ROBOT].run("ip", "address", "del", CAMERA, "dev", "lo")


@pytest.mark.parametrize(
    "right",
    [{"set": [{"range": [1, 9000]}]}, {"set": ["http-alt"]}, "http-alt", {"range": [1, 9000]}, True, None, [8080]],
)
def test_a_port_that_a_rule_names_otherwise_than_by_its_number_is_no_answer(right: object) -> None:
    commands = nftables.installing(Rules(), NOW)
    match = {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": right}
    rule = {"family": "inet", "table": "ztfm", "chain": "forward", "expr": [{"match": match}, {"accept": None}]}
    commands["nftables"].append({"add": {"rule": rule}})
    with pytest.raises(NotUnderstood):
        reach(parse(commands), FLOW, NOW)


def test_a_rule_or_set_of_others_with_numbers_for_protocols_lets_through_what_it_does_in_the_kernel() -> None:
    commands = nftables.installing(Rules(), NOW)
    ours = {"family": "inet", "table": "ztfm"}
    kinds = ["ipv6_addr", "inet_proto"]
    source, protocol = {"payload": {"protocol": "ip6", "field": "saddr"}}, {"meta": {"key": "l4proto"}}
    mapped = {"concat": ["::ffff:10.0.1.7", 6]}
    inside = {"match": {"op": "==", "left": {"concat": [source, protocol]}, "right": "@others"}}
    alone = [
        {"match": {"op": "==", "left": source, "right": "::ffff:10.0.1.8"}},
        {"match": {"op": "==", "left": protocol, "right": {"set": [6, 17]}}},
    ]
    commands["nftables"] += [
        {"add": {"set": {**ours, "name": "others", "type": kinds, "elem": [mapped]}}},
        {"add": {"rule": {**ours, "chain": "forward", "expr": [inside, {"accept": None}]}}},
        {"add": {"rule": {**ours, "chain": "forward", "expr": [*alone, {"accept": None}]}}},
    ]
    for last in (7, 8):
        asked = Flow(str(ip_address(f"::ffff:10.0.1.{last}")), "fd00::1", "tcp", 443)
        assert judge(parse(commands), Packet(asked)).passes


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%; drop", "10.0.1.7%eth0"])
def test_an_address_with_an_interface_is_refused(address: str) -> None:
    for flow in (FLOW._replace(source=address), FLOW._replace(destination=address)):
        with pytest.raises(ValueError, match="address"):
            reach(compiled(Rules()), flow, NOW)
