"""A device gets a capability for what policy allows, bound to its key, and a reason for what it does not."""

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.verification import CapabilityVerifier
from tests.support import DIGEST, MODEL, Caller, ControlPlane


def test_a_member_gets_a_capability_that_an_enforcement_point_can_verify_offline(
    plane: ControlPlane, trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    reply = trainer.capability("model_access", digest=DIGEST, purpose="training", round_id=name)
    capability = reply.expect(201)
    assert capability["token_type"] == "DPoP"
    assert reply.headers["Cache-Control"] == "no-store"
    keys = plane.call("GET", "/.well-known/jwks.json").expect(200)
    verifier = CapabilityVerifier(keys, plane.url, "aggregator-1", plane.clock)
    target = f"urn:ztfm:aggregator-1:{name}"
    proof = plane.proof(trainer.key, "PULL", "", url=target, access_token=capability["access_token"])
    claims = verifier.verify(
        capability["access_token"],
        proof=proof,
        method="PULL",
        url=target,
        action="model_access",
        resource_id=MODEL,
        round_id=name,
        model_digest=DIGEST,
    )
    assert not isinstance(claims, Refused), claims
    assert claims.sub == trainer.id
    assert claims.cnf.jkt == trainer.key.thumbprint
    assert claims.decision_id == capability["decision_id"]
    assert claims.detail.constraints.purpose == "training"


def test_a_submission_is_one_time_and_for_its_round(
    plane: ControlPlane, trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    token = trainer.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    claims = plane.services.capabilities.verifier.inspect(token, action="gradient_submission", round_id=name)
    assert not isinstance(claims, Refused)
    assert claims.detail.constraints.one_time
    assert claims.detail.constraints.round_id == name


def test_a_watched_consumer_gets_labels_alone(plane: ControlPlane, consumer: Caller) -> None:
    size = {"prompt_tokens": 10, "max_output_tokens": 100_000}
    token = consumer.capability("inference", inference=size).expect(201)["access_token"]
    claims = plane.services.capabilities.verifier.inspect(token, action="inference")
    assert not isinstance(claims, Refused)
    assert claims.detail.constraints.detail == "label_only"
    assert claims.detail.constraints.max_output_tokens == 256


@pytest.mark.parametrize(
    ("action", "context", "code"),
    [
        ("model_access", {"purpose": "training", "round_id": "no-such-round"}, "round_known"),
        ("model_access", {}, "purpose_allowed"),
        ("gradient_submission", {}, "round_known"),
        ("gradient_submission", {"round_id": "no-such-round"}, "round_member"),
        ("inference", {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}}, "role_granted"),
    ],
)
def test_a_denial_says_what_was_missing_and_what_to_do(
    trainer: Caller, action: str, context: dict[str, Any], code: str
) -> None:
    reply = trainer.capability(action, **context)
    assert reply.status == 403
    assert reply.kind == "denied"
    assert code in [reason["code"] for reason in reply.json["reasons"]]
    assert all(reason["message"] and reason["remedy"] for reason in reply.json["reasons"])
    assert trainer.get(f"/v1/decisions/{reply.json['decision_id']}").expect(200)["outcome"] == "deny"


def test_a_member_cannot_pull_other_weights_than_the_round_s(
    trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    other = trainer.capability("model_access", digest="sha256:" + "0" * 64, purpose="training", round_id=name)
    assert [reason["code"] for reason in other.json["reasons"]] == ["digest_current"]
    assert trainer.capability("model_access", purpose="training", round_id=name).status == 403


def test_who_is_no_member_gets_nothing(
    plane: ControlPlane, trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    reply = plane.enrol("trainer").capability("gradient_submission", round_id=name)
    assert [reason["code"] for reason in reply.json["reasons"]] == ["round_member"]


def test_nobody_can_say_of_themselves_what_the_control_plane_knows(consumer: Caller) -> None:
    body = {
        "action": "model_access",
        "resource": {"type": "model", "id": MODEL, "properties": {"digest": DIGEST, "sensitivity": "public"}},
        "audience": "aggregator-1",
        "context": {"purpose": "training"},
    }
    assert consumer.post("/v1/capabilities", body).status == 403
    for added in ({"subject": {"id": "dev-1"}}, {"network": {"address": "10.0.0.1"}}):
        assert consumer.post("/v1/capabilities", {**body, "context": {"purpose": "training", **added}}).status == 400


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
def test_who_is_set_apart_gets_nothing(plane: ControlPlane, status: str) -> None:
    device = plane.enrol("consumer")
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    device.capability("inference", inference=size).expect(201)
    plane.run(plane.services.registry.set_status(device.id, status))  # type: ignore[attr-defined]
    reply = device.capability("inference", inference=size)
    assert [reason["code"] for reason in reply.json["reasons"]] == ["subject_active"]


def test_a_denied_inference_uses_up_no_tokens(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    greedy = {"prompt_tokens": 5000, "max_output_tokens": 190_000}
    assert device.capability("inference", inference=greedy).status == 403
    assert device.capability("inference", inference=greedy).status == 403
    modest = {"prompt_tokens": 10, "max_output_tokens": 10}
    token = device.capability("inference", inference=modest)
    facts = device.get(f"/v1/decisions/{token.expect(201)['decision_id']}").expect(200)["facts"]
    assert facts["context"]["usage"] == {"window_seconds": 60.0, "requests": 2, "tokens": 0}


def test_issued_capabilities_are_counted(plane: ControlPlane, consumer: Caller) -> None:
    before = plane.metric("ztfm_capabilities_issued_total", action="inference")
    consumer.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).expect(201)
    assert plane.metric("ztfm_capabilities_issued_total", action="inference") == before + 1
