"""Who asks is known by a fresh proof of an enrolled key for this very request; a 401 says nothing more than that."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlplane.api.reading import neighbourhood
from controlplane.api.services import EdgeLimits
from controlplane.capabilities.proof import holder_of
from controlplane.jose.keys import DeviceKey
from tests.support import UNLIMITED, Caller, ControlPlane, running

PATH = "/v1/capabilities"
BODY = {
    "action": "inference",
    "resource": {"type": "model", "id": "smart-home-intents"},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
}
Made = Callable[[ControlPlane, Caller], str]

WRONG: dict[str, tuple[Made, str]] = {
    "not a token": (lambda plane, caller: "nonsense", "proof_malformed"),
    "no signature": (
        lambda plane, caller: plane.proof(caller.key, "POST", PATH).rpartition(".")[0] + ".",
        "proof_malformed",
    ),
    "too long": (lambda plane, caller: "eyJ" + "a" * 9000 + ".e30.x", "proof_malformed"),
    "another method": (lambda plane, caller: plane.proof(caller.key, "GET", PATH), "proof_wrong_target"),
    "another path": (lambda plane, caller: plane.proof(caller.key, "POST", "/v1/rounds"), "proof_wrong_target"),
    "another host": (
        lambda plane, caller: plane.proof(caller.key, "POST", PATH, url="http://evil.example" + PATH),
        "proof_wrong_target",
    ),
    "stale": (lambda plane, caller: plane.proof(caller.key, "POST", PATH, now=plane.clock() - 66), "proof_stale"),
    "from the future": (
        lambda plane, caller: plane.proof(caller.key, "POST", PATH, now=plane.clock() + 60),
        "proof_stale",
    ),
    "a key that nobody enrolled": (
        lambda plane, caller: plane.proof(DeviceKey.generate(), "POST", PATH),
        "unknown_key",
    ),
    "another's header": (
        lambda plane, caller: ".".join(
            [
                plane.proof(caller.key, "POST", PATH).split(".")[0],
                *plane.proof(DeviceKey.generate(), "POST", PATH).split(".")[1:],
            ]
        ),
        "proof_bad_signature",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_proof_is_401_and_counted_by_its_cause(plane: ControlPlane, consumer: Caller, name: str) -> None:
    make, cause = WRONG[name]
    before = plane.metric("ztfm_capabilities_refused_total", cause=cause)
    reply = plane.call("POST", PATH, BODY, proof=make(plane, consumer))
    assert reply.kind == "unauthenticated"
    metadata = f"{plane.url}/.well-known/oauth-protected-resource"
    assert reply.headers["WWW-Authenticate"] == f'DPoP algs="ES256", resource_metadata="{metadata}"'
    assert plane.metric("ztfm_capabilities_refused_total", cause=cause) == before + 1


def test_every_401_reads_alike(plane: ControlPlane, consumer: Caller) -> None:
    replies = [plane.call("POST", PATH, BODY)]
    replies += [plane.call("POST", PATH, BODY, proof=make(plane, consumer)) for make, _ in WRONG.values()]
    assert len({(reply.status, reply.body, reply.headers["WWW-Authenticate"]) for reply in replies}) == 1


def test_a_proof_is_used_once(plane: ControlPlane, consumer: Caller) -> None:
    proof = plane.proof(consumer.key, "POST", PATH)
    assert plane.call("POST", PATH, BODY, proof=proof).status == 201
    assert plane.call("POST", PATH, BODY, proof=proof).kind == "unauthenticated"


def test_a_proof_that_comes_many_times_at_once_is_used_once(plane: ControlPlane, consumer: Caller) -> None:
    proof = plane.proof(consumer.key, "POST", PATH)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: plane.call("POST", PATH, BODY, proof=proof).status, range(16)))
    assert sorted(found) == [201] + [401] * 15


def test_two_proofs_are_one_too_many(plane: ControlPlane, consumer: Caller) -> None:
    proofs = [plane.proof(consumer.key, "GET", "/v1/decisions/dec-1") for _ in range(2)]
    lines = "".join(f"DPoP: {proof}\r\n" for proof in proofs)
    answer = plane.raw(f"GET /v1/decisions/dec-1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    assert answer.split(b" ", 2)[1] == b"401"


def test_a_query_does_not_change_what_a_proof_is_for(plane: ControlPlane, consumer: Caller) -> None:
    assert consumer.post(PATH + "?x=1", BODY).status == 201


def test_an_unauthenticated_body_is_not_even_read(plane: ControlPlane) -> None:
    assert plane.call("POST", PATH, body=b"{").kind == "unauthenticated"


@pytest.mark.parametrize("header", ["", "e30", "bnVsbA", "eyJqd2siOiB7fX0", "ü", "=", "eyJhIjox", "W10", "x" * 4096])
def test_a_header_without_a_key_names_none(header: str) -> None:
    assert holder_of(header) is None
    assert holder_of(f"{header}.e30.AA") is None


def test_strangers_cannot_take_the_room_of_the_enrolled(plane: ControlPlane) -> None:
    before = len(plane.services.proving.proofs._replay._seen)
    for _ in range(5):
        stranger = plane.stranger()
        assert stranger.post(PATH, BODY).status == 401
        stranger.post("/v1/devices", {"token": "x", "roles": ["trainer"], "segment": "homes"})
    assert len(plane.services.proving.proofs._replay._seen) == before


@pytest.mark.parametrize(
    ("address", "shared"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_strangers_of_one_network_share_an_allowance(address: str, shared: str) -> None:
    assert neighbourhood(address) == shared


def test_a_stranger_who_insists_is_slowed_down_and_an_enrolled_device_beside_it_is_not() -> None:
    limits = EdgeLimits(rate=1e6, burst=1e6, stranger_rate=0.5, stranger_burst=3.0)
    with running(limits=limits) as plane:
        device = plane.enrol("consumer")
        found = [plane.stranger().post(PATH, BODY) for _ in range(4)]
        assert [reply.status for reply in found] == [401, 401, 429, 429]
        assert found[-1].kind == "too-many-requests"
        assert 1 <= int(found[-1].headers["Retry-After"]) <= 2
        assert device.post(PATH, BODY).status == 201
        token = {"token": "x", "roles": ["trainer"], "segment": "homes"}
        assert plane.stranger().post("/v1/devices", token).kind == "too-many-requests"


def test_a_device_that_asks_too_often_waits_and_others_do_not() -> None:
    limits = EdgeLimits(rate=2.0, burst=3.0, stranger_rate=1e6, stranger_burst=1e6)
    with running(limits=limits) as plane:
        busy, calm = plane.enrol("consumer"), plane.enrol("consumer")
        found = [busy.post(PATH, BODY).status for _ in range(6)]
        assert found[:3] == [201, 201, 201]
        assert found[5] == 429
        assert calm.post(PATH, BODY).status == 201
        remembered = len(plane.services.proving.proofs._replay._seen)
        assert busy.post(PATH, BODY).status == 429
        assert len(plane.services.proving.proofs._replay._seen) == remembered, "a refused proof took room"
        time.sleep(1.0)
        assert busy.post(PATH, BODY).status == 201


def test_how_often_one_key_may_ask_is_a_setting() -> None:
    with running(limits=None, caller_rate=2.0) as plane:
        busy = plane.enrol("consumer")
        found = [busy.post(PATH, BODY).status for _ in range(8)]
    assert found[:4] == [201] * 4
    assert 429 in found[4:]


def test_nobody_can_use_up_another_s_allowance() -> None:
    limits = EdgeLimits(rate=0.01, burst=2.0, stranger_rate=UNLIMITED.stranger_rate, stranger_burst=1e6)
    with running(limits=limits) as plane:
        device = plane.enrol("consumer")
        for _ in range(5):
            forged = WRONG["another's header"][0](plane, device)
            assert plane.call("POST", PATH, BODY, proof=forged).status == 401
        assert device.post(PATH, BODY).status == 201
