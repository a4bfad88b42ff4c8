"""The proxy before a real SuperLink: what passes, and what does not and why."""

import argparse
import base64
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flwr.app import ConfigRecord, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from adapters.flower.proxy import Limits, OpenProxy, beside, opened
from adapters.flower.proxy.commands import other_tls, own_tls
from adapters.member import Member
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.events import REACH_SECONDS
from controlplane.jose.keys import DeviceKey
from tests.adapters.flower.fleet import (
    Link,
    Loop,
    ScriptedNode,
    Sent,
    status_of,
    superlink,
    update,
    weights,
)
from tests.support import DIGEST, MODEL, Caller, ControlPlane, wait_until

AUDIENCE = "fleet-1"


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    """A SuperLink for all tests of this file."""
    with superlink() as found:
        yield found


@pytest.fixture(autouse=True)
def run(link: Link, identity: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are of the run that is under way."""
    monkeypatch.setattr(TaskIdentity, "_run_id", link.run_id)


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """Where proxy and sidecars run."""
    found = Loop()
    yield found
    found.close()


@pytest.fixture(scope="module")
def proxy(plane: ControlPlane, link: Link, loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> OpenProxy:
    """The proxy."""
    state = tmp_path_factory.mktemp("gateway")
    enrolled(plane, state, "gateway")
    return loop.enter(opened(state, link.url, [MODEL], audience=AUDIENCE))


def enrolled(plane: ControlPlane, folder: Path, role: str = "trainer") -> str:
    segment = "homes" if role in ("trainer", "consumer") else "core"
    with Member.enrol(folder, plane.url, plane.token([role], segment), roles=[role], segment=segment) as member:
        return member.id


class Device:
    """An enrolled device with a sidecar, and a node behind it that has joined."""

    def __init__(self, plane: ControlPlane, link: Link, loop: Loop, proxy: OpenProxy, folder: Path, role: str) -> None:
        self.folder = folder
        self.id = enrolled(plane, folder, role)
        self.key = DeviceKey.from_pem((folder / "key.pem").read_bytes())
        self.url = loop.enter(beside(folder, proxy.public_url))
        self.node = ScriptedNode(self.url, link).join()

    @property
    def node_id(self) -> int:
        return self.node.node_id


@pytest.fixture
def device(
    plane: ControlPlane, link: Link, loop: Loop, proxy: OpenProxy, tmp_path: Path
) -> Iterator[Callable[..., Device]]:
    """Enrols a device and has it join."""
    made: list[Device] = []

    def joined(role: str = "trainer") -> Device:
        made.append(Device(plane, link, loop, proxy, tmp_path / f"device-{len(made)}", role))
        return made[-1]

    yield joined
    for one in made:
        one.node.client.close()


@pytest.fixture
def aggregator(plane: ControlPlane) -> Caller:
    """Whoever opens rounds."""
    return plane.enrol("aggregator")


_rounds = iter(range(10_000))


def sealed(aggregator: Caller, *devices: Device, stage: str = "train", digest: str = DIGEST) -> dict[str, Any]:
    """Open a round for devices and return what the strategy says of it in each message."""
    name = f"fleet-{next(_rounds)}-{time.time_ns()}"
    members = [Caller(aggregator.plane, one.key, one.id) for one in devices]
    aggregator.open_round(name, members)
    stated = {"round_id": name, "model": MODEL, "model_digest": digest, "audience": "aggregator-1", "stage": stage}
    return {"ztfm": ConfigRecord(stated)}


def fetched(node: ScriptedNode, sent: Sent) -> None:
    """Take a message and all of its objects, as a SuperNode does."""
    (message,) = node.pull().messages_list
    assert message.metadata.message_id == sent.message.metadata.message_id
    for name, content in sent.objects.items():
        assert node.fetch(name).object_content == content
    node.confirm(sent.message.metadata.message_id)


def bare(proxy: OpenProxy, one: Device) -> ScriptedNode:
    """The device's node without its sidecar: each request is proven with the device's key, and bears no capability."""

    def prove(request: httpx.Request) -> None:
        request.headers.update(proven(proxy, one.key, request.url.path, request.content))

    node = ScriptedNode(proxy.url, one.node.link, one.node.keys, prove)
    node.node_id = one.node_id
    return node


def proven(proxy: OpenProxy, key: DeviceKey, path: str, body: bytes, **changes: Any) -> dict[str, str]:
    digest = hashlib.sha256(body)
    stated = {
        "method": "POST",
        "url": proxy.public_url + path,
        "now": time.time(),
        "digest": f"sha256:{digest.hexdigest()}",
    }
    shown = base64.b64encode(digest.digest()).decode()
    return {"DPoP": make_proof(key, **{**stated, **changes}), "Content-Digest": f"sha-256=:{shown}:"}


def test_a_member_trains_a_round_through_the_proxy(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one = device()
    sent = link.send(one.node_id, weights(sealed(aggregator, one)))
    fetched(one.node, sent)
    assert proxy.report.weights(one.id) > 320_000
    one.node.push_whole(one.node.reply(sent, update()))
    (reply,) = link.replies(sent)
    assert reply.metadata.src_node_id == one.node_id


def test_objects_may_come_after_their_message(link: Link, device: Callable[..., Device], aggregator: Caller) -> None:
    one = device()
    sent = link.send(one.node_id, weights(sealed(aggregator, one)), with_objects=False)
    one.node.pull()
    (chunk,) = sent.named("ArrayChunk")
    assert not one.node.fetch(chunk).object_available
    sent.objects_come()
    assert one.node.fetch(chunk).object_content == sent.objects[chunk]


def test_without_a_capability_no_weights_leave(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one, other = device(), device("consumer")
    terms = sealed(aggregator, one, other)
    # Policy denies a consumer: its sidecar does not bother the SuperNode with a message that it cannot have.
    link.send(other.node_id, weights(terms))
    assert not other.node.pull().messages_list
    # Whoever does without the sidecar gets the message, and not what is in it.
    sent = link.send(other.node_id, weights(terms))
    with bare(proxy, other) as node:
        assert node.pull().messages_list
        assert node.fetch(sent.named("ConfigRecord")[0]).object_available
        for name in sent.named("ArrayChunk") + sent.named("Array"):
            assert status_of(lambda name=name: node.fetch(name)) == 403
        assert status_of(lambda: node.push(node.reply(sent, update()))) == 403
    assert proxy.report.weights(other.id) == 0
    assert proxy.report.outcome("pull-object", "no_capability") >= 2
    fetched(one.node, link.send(one.node_id, weights(terms)))


def test_a_capability_of_another_device_opens_nothing(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one, thief = device(), device("consumer")
    terms = sealed(aggregator, one, thief)
    owner = Caller(aggregator.plane, one.key, one.id)
    granted = owner.capability(
        "model_access", digest=DIGEST, audience=AUDIENCE, purpose="training", round_id=terms["ztfm"]["round_id"]
    ).expect(201)["access_token"]
    sent = link.send(thief.node_id, weights(terms))

    def show(request: httpx.Request) -> None:
        request.headers.update(proven(proxy, thief.key, request.url.path, request.content, access_token=granted))
        request.headers["Authorization"] = f"DPoP {granted}"

    with ScriptedNode(proxy.url, link, thief.node.keys, show) as node:
        node.node_id = thief.node_id
        node.pull()
        assert status_of(lambda: node.fetch(sent.named("ArrayChunk")[0])) == 403
    assert proxy.report.outcome("pull-object", "wrong_key") >= 1
    assert proxy.report.weights(thief.id) == 0


def test_the_link_hands_out_what_the_proxy_does_not(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one, other = device(), device()
    terms = sealed(aggregator, one)
    sent = link.send(one.node_id, weights(terms))
    (chunk,) = sent.named("ArrayChunk")
    with ScriptedNode(link.url, link, other.node.keys) as direct:
        direct.node_id = other.node_id
        assert direct.fetch(chunk).object_content == sent.objects[chunk]
    # The sidecar says it in Flower's words, so that a SuperNode ends what it began.
    assert not other.node.fetch(chunk).object_found
    with bare(proxy, other) as node:
        assert status_of(lambda: node.fetch(chunk)) == 403
    assert status_of(lambda: other.node.confirm(sent.message.metadata.message_id)) == 403
    assert proxy.report.outcome("pull-object", "foreign_object") >= 1
    fetched(one.node, sent)


def test_a_node_sends_replies_alone_and_in_its_own_name(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one, other = device(), device()
    sent = link.send(one.node_id, weights(sealed(aggregator, one)))
    fetched(one.node, sent)
    for wrong in (
        other.node.reply(sent, update()),
        one.node.reply(sent, update(), _src_node_id=other.node_id),
        one.node.reply(sent, update(), _reply_to_message_id="", _src_node_id=1, _dst_node_id=other.node_id),
    ):
        sender = other.node if wrong.metadata.src_node_id == other.node_id else one.node
        assert status_of(lambda wrong=wrong, sender=sender: sender.push(wrong)) == 403
    assert not other.node.pull().messages_list
    assert proxy.report.outcome("push-messages", "wrong_node") >= 1


def test_an_object_is_pushed_for_an_accepted_reply_alone(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one = device()
    sent = link.send(one.node_id, weights(sealed(aggregator, one)))
    fetched(one.node, sent)
    content = b"ArrayChunk  3\x00abc"
    name = hashlib.sha256(content).hexdigest()
    taken = one.node.push(one.node.reply(sent, update()))
    assert status_of(lambda: one.node.push_object(taken.session_id, name, content)) == 403
    assert status_of(lambda: one.node.push_object("other", taken.objects_to_push[0], content)) == 403
    assert proxy.report.outcome("push-object", "foreign_object") >= 2


def test_weights_of_no_sealed_round_pass_to_nobody(link: Link, proxy: OpenProxy, device: Callable[..., Device]) -> None:
    one = device()
    link.send(one.node_id, weights())
    assert status_of(one.node.pull) == 403
    link.send(one.node_id, weights({"ztfm": ConfigRecord({"stage": "train", "round_id": "made-up"})}))
    assert status_of(one.node.pull) == 403
    assert proxy.report.outcome("pull-messages", "unsealed_round") >= 2


def test_a_record_that_could_be_weights_does_not_pass(
    link: Link, proxy: OpenProxy, device: Callable[..., Device]
) -> None:
    one = device()
    sent = link.send(
        one.node_id, RecordDict({"small": MetricRecord({"a": 1}), "large": ConfigRecord({"b": b"x" * 100_000})})
    )
    one.node.pull()
    assert one.node.fetch(sent.named("MetricRecord")[0]).object_available
    assert not one.node.fetch(sent.named("ConfigRecord")[0]).object_found
    assert proxy.report.outcome("pull-object", "record_too_large") >= 1


def test_a_request_works_once_unaltered_and_where_it_was_meant_for(
    link: Link, proxy: OpenProxy, device: Callable[..., Device]
) -> None:
    one = device()
    path = "/v1/fleet/pull-messages"
    with bare(proxy, one) as node:
        node.pull()
        (asked,) = node.requests
        body, headers = asked.content, dict(asked.headers)
        again = httpx.post(proxy.url + path, content=body, headers=headers)
        fresh = {**headers, **{name.lower(): value for name, value in proven(proxy, one.key, path, body).items()}}
        altered = httpx.post(
            proxy.url + path, content=body + b"\x12\x00", headers={**fresh, "content-length": str(len(body) + 2)}
        )
        fresh.update({name.lower(): value for name, value in proven(proxy, one.key, path, body).items()})
        moved = httpx.post(proxy.url + "/v1/fleet/send-node-heartbeat", content=body, headers=fresh)
        nothing = httpx.post(proxy.url + path, content=body, headers={"content-type": "application/protobuf"})
    assert [one.status_code for one in (again, altered, moved, nothing)] == [403] * 4
    counted = proxy.report.to_dict()["calls"]
    assert {"proof_replayed", "altered", "proof_missing"} <= set(counted["pull-messages"])
    assert "proof_wrong_target" in counted["send-node-heartbeat"]


def test_a_reply_that_could_hide_an_update_does_not_arrive(
    link: Link, proxy: OpenProxy, device: Callable[..., Device]
) -> None:
    one = device()
    sent = link.send(one.node_id, RecordDict({"question": MetricRecord({"a": 1})}))
    fetched(one.node, sent)
    before = proxy.report.outcome("push-object", "record_too_large")
    reply = one.node.reply(
        sent, RecordDict({"small": MetricRecord({"a": 1}), "large": ConfigRecord({"b": b"y" * 100_000})})
    )
    assert status_of(lambda: one.node.push_whole(reply)) == 403
    assert proxy.report.outcome("push-object", "record_too_large") == before + 1


def test_an_altered_object_does_not_arrive(
    link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one = device()
    sent = link.send(one.node_id, weights(sealed(aggregator, one)))
    fetched(one.node, sent)
    reply = one.node.reply(sent, update())
    taken = one.node.push(reply)
    before = proxy.report.outcome("push-object", "altered")

    def swap(request: httpx.Request) -> None:
        signed = request.content
        request.headers.update(proven(proxy, one.key, request.url.path, signed))
        request.stream = httpx.ByteStream(signed[:-1] + b"!")

    with ScriptedNode(proxy.url, link, one.node.keys, swap) as node:
        node.node_id = one.node_id
        assert status_of(lambda: node.push_object(taken.session_id, taken.objects_to_push[0], b"x" * 500_000)) == 403
    assert proxy.report.outcome("push-object", "altered") == before + 1
    assert link.state.get_object(link.run_id, taken.objects_to_push[0]) == b""


def test_a_node_belongs_to_the_device_that_registered_it(
    link: Link, proxy: OpenProxy, device: Callable[..., Device]
) -> None:
    one, thief = device(), device()
    with ScriptedNode(thief.url, link, one.node.keys) as stolen:
        # It has the node's key of Flower's, and another device's identity.
        stolen.node_id = one.node_id
        assert status_of(stolen.pull) == 403
        assert status_of(lambda: stolen.join()) == 403
    assert proxy.report.outcome("pull-messages", "wrong_node") >= 1


def test_a_revoked_device_is_told_to_stop_and_one_that_is_set_apart_is_not(
    plane: ControlPlane, link: Link, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    apart, gone = device(), device()
    sent = [link.send(one.node_id, weights(sealed(aggregator, apart, gone))) for one in (apart, gone)]
    for one in (apart, gone):
        one.node.pull()
    administrator = plane.enrol("administrator")
    for one, status in ((apart, "quarantined"), (gone, "revoked")):
        administrator.post(f"/v1/devices/{one.id}/status", {"status": status, "reason": "Test."}).expect(200)
    wait_until(lambda: status_of(gone.node.pull) == 401, 5.0)
    wait_until(lambda: status_of(apart.node.pull) == 403, 5.0)
    for one, message, status in ((apart, sent[0], 403), (gone, sent[1], 401)):
        with bare(proxy, one) as node:
            assert status_of(lambda node=node, message=message: node.fetch(message.named("ArrayChunk")[0])) == status
        assert proxy.report.weights(one.id) == 0


def test_a_device_with_another_key_has_its_node_and_whoever_has_the_one_before_has_nothing(
    plane: ControlPlane, link: Link, loop: Loop, proxy: OpenProxy, device: Callable[..., Device], aggregator: Caller
) -> None:
    one = device()
    with bare(proxy, one) as node:
        assert status_of(node.pull) == 200
    with Member.open(one.folder) as member:
        member.rotate_key()
        assert (member.id, member.key.thumbprint) != (one.id, one.key.thumbprint)
    with bare(proxy, one) as node:
        wait_until(lambda: status_of(node.pull) == 403, 5.0)
    one.key = DeviceKey.from_pem((one.folder / "key.pem").read_bytes())
    with bare(proxy, one) as node:
        assert status_of(node.pull) == 200
    # What is handed out within two seconds of the rotation is void.
    time.sleep(REACH_SECONDS)
    terms = sealed(aggregator, one)
    with ScriptedNode(loop.enter(beside(one.folder, proxy.public_url)), link, one.node.keys) as again:
        again.node_id = one.node_id
        fetched(again, link.send(one.node_id, weights(terms)))
    assert proxy.report.weights(one.id) >= 1


def test_a_key_that_nobody_enrolled_is_nobodys(link: Link, proxy: OpenProxy) -> None:
    stranger = DeviceKey.generate()

    def prove(request: httpx.Request) -> None:
        request.headers.update(proven(proxy, stranger, request.url.path, request.content))

    with ScriptedNode(proxy.url, link, None, prove) as node:
        assert status_of(node.join) == 403
    assert proxy.report.outcome("register-node", "no_member") >= 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/control/start-run"),
        ("POST", "/v1/runtime/pull-object"),
        ("POST", "/v1/fleet/pull-messages/"),
        ("POST", "/v1/fleet/%70ull-messages"),
        ("GET", "/v1/fleet/pull-messages"),
        ("GET", "/docs"),
    ],
)
def test_only_the_calls_of_nodes_are_there(proxy: OpenProxy, method: str, path: str) -> None:
    assert httpx.request(method, proxy.url + path).status_code == 403


def test_what_is_shown_to_the_proxy_goes_no_further(
    plane: ControlPlane, link: Link, loop: Loop, tmp_path: Path
) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enrolled(plane, tmp_path / "gateway", "gateway")
        trainer = tmp_path / "trainer"
        enrolled(plane, trainer)
        upstream = f"http://127.0.0.1:{listener.getsockname()[1]}"
        limits = Limits(upstream_seconds=1.0)
        proxy = loop.enter(opened(tmp_path / "gateway", upstream, [MODEL], limits=limits))
        with ScriptedNode(loop.enter(beside(trainer, proxy.public_url)), link) as node:
            # The SuperLink takes the request, and says nothing.
            assert status_of(node.join) == 504
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65_536))
    shown = heard[0].lower()
    assert b"flwr-signature:" in shown
    for name in (b"dpop", b"authorization:", b"content-digest:"):
        assert name not in shown
    with ScriptedNode(loop.enter(beside(trainer, proxy.public_url)), link) as node:
        assert status_of(node.join) == 502
    assert proxy.report.to_dict()["calls"]["register-node"] == {"upstream_timeout": 1, "upstream_unreachable": 1}


def test_bodies_and_connections_are_bounded(
    plane: ControlPlane, link: Link, loop: Loop, proxy: OpenProxy, device: Callable[..., Device], tmp_path: Path
) -> None:
    enrolled(plane, tmp_path / "gateway", "gateway")
    limits = Limits(request_bytes=1000, connections=2, idle_seconds=0.5)
    narrow = loop.enter(opened(tmp_path / "gateway", link.url, [MODEL], limits=limits))
    host = urlsplit(narrow.url)
    address = (str(host.hostname), int(host.port or 0))
    with socket.create_connection(address) as first, socket.create_connection(address) as second:
        with socket.create_connection(address) as third:
            assert third.recv(1) == b""
        # Whoever asks nothing does not keep its place.
        for idle in (first, second):
            idle.settimeout(5)
            assert idle.recv(1) == b""
    one = device()
    body = b"\x0a" * 2000
    headers = proven(narrow, one.key, "/v1/fleet/pull-messages", body)
    assert httpx.post(f"{narrow.url}/v1/fleet/pull-messages", content=body, headers=headers).status_code == 413


def test_who_is_whose_outlives_the_proxy(plane: ControlPlane, link: Link, loop: Loop, tmp_path: Path) -> None:
    for name, role in (("gateway", "gateway"), ("one", "trainer"), ("two", "trainer")):
        enrolled(plane, tmp_path / name, role)
    first = loop.enter(opened(tmp_path / "gateway", link.url, [MODEL]))
    node = ScriptedNode(loop.enter(beside(tmp_path / "one", first.public_url)), link).join()
    second = loop.enter(opened(tmp_path / "gateway", link.url, [MODEL]))
    statuses = []
    for name in ("one", "two"):
        with ScriptedNode(loop.enter(beside(tmp_path / name, second.public_url)), link, node.keys) as again:
            again.node_id = node.node_id
            statuses.append(status_of(again.pull))
    node.client.close()
    assert statuses == [200, 403]
    (kept,) = (tmp_path / "gateway" / "nodes.jsonl").read_text().splitlines()
    assert json.loads(kept)["node"] == node.node_id


def test_all_of_it_runs_over_tls(plane: ControlPlane, link: Link, loop: Loop, tmp_path: Path) -> None:
    for name, role in (("gateway", "gateway"), ("device", "trainer")):
        enrolled(plane, tmp_path / name, role)
    certificate, key = own_certificate(tmp_path)
    ours = argparse.Namespace(tls_certificate=certificate, tls_key=key)
    proxy = loop.enter(opened(tmp_path / "gateway", link.url, [MODEL], tls=own_tls(ours)))
    assert proxy.public_url.startswith("https://127.0.0.1:")
    device, authority = tmp_path / "device", other_tls(certificate)
    url = loop.enter(beside(device, proxy.public_url, tls=own_tls(ours), proxy_tls=authority))
    with ScriptedNode(url, link, verify=authority) as node:
        assert node.join().node_id
    with ScriptedNode(loop.enter(beside(device, proxy.public_url)), link) as node:
        # It does not know the authority, and does not go on without.
        assert status_of(node.join) == 502


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "certificate-key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private
