"""The attacks of RFC 8725 and RFC 9449 at the edge: 401 without a cause, which is in the log."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from controlplane.jose.keys import DeviceKey
from tests.controlplane.capabilities.attacks import PROOF_ATTACKS, Request, mirrored
from tests.support import MODEL, Caller, ControlPlane, Reply

PATH = "/v1/capabilities"
ASKED = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
}


def request_of(plane: ControlPlane, key: DeviceKey) -> Request:
    return Request(key, "POST", plane.url + PATH, plane.clock())


def present(plane: ControlPlane, proof: str) -> tuple[Reply, list[Any]]:
    """Send a request with ``proof``; return the answer, and the causes that were logged meanwhile."""
    with capture_logs() as logged:
        reply = plane.call("POST", PATH, ASKED, proof=proof)
    return reply, [line["cause"] for line in logged if line.get("event") == "refused" and line.get("route") == PATH]


@pytest.mark.parametrize("name", PROOF_ATTACKS)
def test_an_attack_gets_nothing_and_its_cause_is_logged(plane: ControlPlane, consumer: Caller, name: str) -> None:
    make, cause = PROOF_ATTACKS[name]
    reply, causes = present(plane, make(request_of(plane, consumer.key)))
    assert reply.kind == "unauthenticated"
    assert causes == [cause]
    assert cause.encode() not in reply.body


def test_a_proof_that_was_seen_on_its_way_is_worth_nothing(plane: ControlPlane, consumer: Caller) -> None:
    proof = request_of(plane, consumer.key).proof()
    assert present(plane, proof)[0].status == 201
    for again in (proof, mirrored(proof)):
        reply, causes = present(plane, again)
        assert reply.kind == "unauthenticated"
        assert causes == ["proof_replayed"]


def test_a_stolen_capability_asks_for_nothing_here(plane: ControlPlane, consumer: Caller) -> None:
    token = consumer.post(PATH, ASKED).expect(201)["access_token"]
    reply, causes = present(plane, token)
    assert reply.kind == "unauthenticated"
    assert causes == ["proof_malformed"]


def test_a_thief_with_a_key_of_its_own_is_a_stranger(plane: ControlPlane) -> None:
    reply, causes = present(plane, request_of(plane, DeviceKey.generate()).proof())
    assert reply.kind == "unauthenticated"
    assert causes == ["unknown_key"]
