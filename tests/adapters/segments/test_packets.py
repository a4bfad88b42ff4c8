"""What the rules do to real packets."""

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from adapters.segments.enforcing import Enforcement
from adapters.segments.errors import RulesRefused
from adapters.segments.libnftables import LibNftables
from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import rules_of
from controlplane.segmentation.nftables import file_of
from controlplane.segmentation.reachability import reach
from controlplane.segmentation.rulesets import parse
from tests.adapters.segments.plant import (
    ADDRESSES,
    SERVICE_PORT,
    SYSLOG_PORT,
    Plant,
    Stream,
    flow,
    grant,
    names,
    six,
    table,
)
from tests.servers.namespaces import Node

KINDS = (socket.IPPROTO_ICMP, socket.IPPROTO_UDP, socket.IPPROTO_TCP, 41, 47, 50, 132)
"""Protocols that a device makes packets of up: the last four are those of tunnels, and SCTP."""

Put = Callable[[GrantTable], None]


def test_without_rules_everything_reaches_everything(plant: Plant) -> None:
    assert len(plant.reached(plant.everything(), seconds=3.0)) == len(plant.everything())


def test_what_is_granted_passes_and_everything_else_is_dropped(plant: Plant, put: Put) -> None:
    assert plant.reached(plant.everything()) == set()
    put(table([grant("camera", "gateway"), grant("sensor", "aggregator"), grant("gateway", "models")]))
    assert names(plant.reached(plant.everything())) == [
        "camera -> gateway:8443",
        "gateway -> models:8443",
        "sensor -> aggregator:8443",
    ]


def test_what_the_compiled_rules_answer_is_what_packets_do(plant: Plant, put: Put, enforcement: Enforcement) -> None:
    put(table([grant("camera", "gateway"), grant("sensor", "gateway"), grant("visitor", "aggregator")], ["sensor"]))
    listing = parse(json.loads(plant.router.run("nft", "-j", "list", "ruleset")))
    told = {one for one in plant.everything() if reach(listing, one, time.time()).reaches}
    assert told == plant.reached(plant.everything())
    assert names(told) == ["camera -> gateway:8443", "visitor -> aggregator:8443"]


def test_both_families_and_both_protocols_pass_by_their_grants(plant: Plant, put: Put) -> None:
    sensor, aggregator = plant.hosts["sensor"], plant.hosts["aggregator"]
    place = six(ADDRESSES["aggregator"])
    with aggregator.listen(SERVICE_PORT, at=place):
        put(table())
        assert not sensor.reaches(place, SERVICE_PORT)
        put(table([grant("sensor", "aggregator", source=six(ADDRESSES["sensor"]))]))
        assert sensor.reaches(place, SERVICE_PORT, seconds=3.0)
        assert not plant.hosts["camera"].reaches(place, SERVICE_PORT)


def test_a_grant_ends_a_running_stream_and_new_connections_with_nobody_acting(plant: Plant, put: Put) -> None:
    brief = grant("camera", "gateway", seconds=5.0)
    put(table([brief, grant("visitor", "gateway")]))
    with Stream(plant, "camera", "gateway") as stream, Stream(plant, "visitor", "gateway") as other:
        assert stream.flows()
        stream.silent_after(0.0)
        assert time.time() - 0.5 < brief.expires_at, "it outlived its grant"
        assert other.flows()
        assert plant.reached([flow("camera", "gateway"), flow("visitor", "gateway")]) == {flow("visitor", "gateway")}


def test_quarantine_cuts_a_live_stream_in_both_directions_within_a_second(plant: Plant, put: Put) -> None:
    grants = [grant("camera", "gateway"), grant("camera-2", "gateway")]
    put(table(grants))
    with Stream(plant, "camera", "gateway") as stream, Stream(plant, "camera-2", "gateway") as other:
        assert stream.flows()
        began = time.monotonic()
        # Its grant is still in the table: a cut comes before it.
        put(table(grants, ["camera"]))
        assert stream.silent_after(began) < 1.0
        arrived = stream.arrived
        assert other.flows()
        assert stream.arrived == arrived, "what the device sends still arrives"


def test_a_revoked_grant_ends_its_stream_and_leaves_the_device_its_others(plant: Plant, put: Put) -> None:
    put(table([grant("camera", "gateway"), grant("camera", "models")]))
    with Stream(plant, "camera", "gateway") as stream, Stream(plant, "camera", "models") as other:
        assert stream.flows()
        began = time.monotonic()
        put(table([grant("camera", "models")]))
        assert stream.silent_after(began) < 1.0
        assert other.flows()


def test_what_a_server_still_sends_after_a_grant_ended_reaches_nobody(plant: Plant, put: Put) -> None:
    sensor, models = plant.hosts["sensor"], plant.hosts["models"]
    put(table([grant("sensor", "syslog")]))
    with models.listen(SYSLOG_PORT, socket.SOCK_DGRAM) as server, sensor.plug(socket.SOCK_DGRAM) as client:
        server.settimeout(3.0)
        client.settimeout(3.0)
        client.sendto(b"one", (ADDRESSES["models"], SYSLOG_PORT))
        _, place = server.recvfrom(100)
        server.sendto(b"taken", place)
        assert client.recv(100) == b"taken"
        put(table())
        client.settimeout(0.3)
        server.sendto(b"more", place)
        with pytest.raises(TimeoutError):
            client.recv(100)


def test_a_compromised_device_reaches_nothing_but_what_it_was_granted(plant: Plant, put: Put) -> None:
    put(table([grant("camera", "gateway"), grant("gateway", "models"), grant("sensor", "syslog")]))
    scanned = [one for one in plant.everything() if one.source == ADDRESSES["camera"]]
    assert plant.reached(scanned) == {flow("camera", "gateway")}


def test_nothing_that_a_compromised_device_makes_up_arrives(plant: Plant, enforcement: Enforcement, put: Put) -> None:
    camera, others = plant.hosts["camera"], [name for name in ADDRESSES if name != "camera"]
    with plant.overheard(ADDRESSES["camera"]) as heard:
        plant.router.run("nft", "flush", "ruleset")
        made_up(camera, others)
        assert heard() == {(name, kind) for name in others for kind in KINDS}, "without rules all of it arrives"
        plant.router.call(enforcement.hold)
        put(table([grant("camera-2", "gateway"), grant("gateway", "models"), grant("sensor", "syslog")]))
        heard()
        made_up(camera, others)
        assert heard() == set()


def test_a_borrowed_address_opens_nothing(plant: Plant, put: Put) -> None:
    put(table([grant("sensor", "syslog")]))
    camera, sensor = plant.hosts["camera"], plant.hosts["sensor"]
    with plant.hosts["models"].listen(SYSLOG_PORT, socket.SOCK_DGRAM) as server:
        server.settimeout(0.3)
        camera.run("ip", "address", "add", ADDRESSES["sensor"], "dev", "lo")
        try:
            with camera.plug(socket.SOCK_DGRAM) as forged:
                forged.bind((ADDRESSES["sensor"], 0))
                forged.sendto(b"forged", (ADDRESSES["models"], SYSLOG_PORT))
                with pytest.raises(TimeoutError):
                    server.recv(100)
        finally:
            camera.run("ip", "address", "del", ADDRESSES["sensor"], "dev", "lo")
        with sensor.plug(socket.SOCK_DGRAM) as honest:
            honest.sendto(b"honest", (ADDRESSES["models"], SYSLOG_PORT))
            assert server.recv(100) == b"honest"


def test_rules_that_fail_to_load_leave_the_old_ones_and_the_stream_that_they_carry(
    plant: Plant, put: Put, enforcement: Enforcement
) -> None:
    put(table([grant("camera", "gateway")]))
    ruleset = plant.router.run("nft", "--stateless", "list", "ruleset")
    before = enforcement.rules
    with Stream(plant, "camera", "gateway") as stream:
        assert stream.flows()
        enforcement._kernel = Spoiled(enforcement._kernel)
        with pytest.raises(RulesRefused, match="No such file or directory"):
            put(table([grant("sensor", "aggregator")]))
        text = file_of(rules_of(table([grant("sensor", "aggregator")]), time.time()), time.time()).rstrip("}\n")
        with pytest.raises(RuntimeError, match="rror"):
            plant.router.run("nft", "-f", "-", given=text)
        assert plant.router.run("nft", "--stateless", "list", "ruleset") == ruleset
        assert enforcement.rules == before
        assert stream.flows()
        assert plant.reached([flow("camera", "gateway"), flow("sensor", "aggregator")]) == {flow("camera", "gateway")}


class Spoiled(LibNftables):
    """The kernel's rules by way of somebody who adds a command to each transaction that the kernel refuses."""

    def __init__(self, _: object) -> None:
        super().__init__()

    def run(self, commands: Any) -> None:
        rule = {"family": "inet", "table": "ztfm", "chain": "nowhere", "expr": [{"accept": None}]}
        super().run({"nftables": [*commands["nftables"], {"add": {"rule": rule}}]})


def made_up(node: Node, others: list[str]) -> None:
    """Send each other host a ping, a datagram, a segment of a connection that nobody opened, and what tunnels use."""
    for name in others:
        for protocol in KINDS:
            with node.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, protocol) as raw:
                for port in (22, 8443):
                    raw.sendto(payload(str(node.address), ADDRESSES[name], protocol, port), (ADDRESSES[name], 0))


def payload(source: str, destination: str, protocol: int, port: int) -> bytes:
    """What follows the IPv4 header: with the right checksum where tracking would not look at it otherwise."""
    if protocol == socket.IPPROTO_ICMP:
        return with_checksum(struct.pack("!BBHHH", 8, 0, 0, 1, 1), b"", 2)
    if protocol == socket.IPPROTO_UDP:
        return struct.pack("!HHHH", 40_000, port, 8, 0)
    if protocol == socket.IPPROTO_TCP:
        pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, 20)
        # ACK alone: connection tracking may take it for the middle of a connection.
        return with_checksum(struct.pack("!HHIIBBHHH", 40_000, port, 1, 1, 5 << 4, 0x10, 1024, 0, 0), pseudo, 16)
    return bytes(24)


def with_checksum(header: bytes, pseudo: bytes, at: int) -> bytes:
    """A header with its checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(pseudo) + len(header)) // 2}H", pseudo + header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:at] + struct.pack("!H", ~total & 0xFFFF) + header[at + 2 :]
