"""Introspection answers from policy as it stands now; revocation makes void at once."""

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.api.introspection import covers
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import Constraints
from tests.controlplane.api.oauth_client import FORM, INFERENCE, OAuthClient
from tests.support import DIGEST, MODEL, Caller, ControlPlane

INACTIVE = {"active": False}


def introspected(caller: Caller, token: str, **form: str) -> Any:
    return OAuthClient(caller).send("/oauth/introspect", {"token": token, **form}).expect(200)


def revoked(caller: Caller, token: str, **form: str) -> None:
    reply = OAuthClient(caller).send("/oauth/revoke", {"token": token, **form})
    assert (reply.status, reply.body) == (200, b"")


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture
def capability(device: Caller) -> str:
    return str(OAuthClient(device).exchange().expect(200)["access_token"])


def set_status(plane: ControlPlane, device: Caller, status: str) -> None:
    plane.run(plane.services.registry.set_status(device.id, status))  # type: ignore[arg-type]


def test_an_active_capability_is_described(
    plane: ControlPlane, gateway: Caller, device: Caller, capability: str
) -> None:
    answer = introspected(gateway, capability, token_type_hint="access_token")
    claims = plane.services.capabilities.verifier.recognise(capability)
    assert not isinstance(claims, Refused)
    assert answer["active"] is True
    assert answer["token_type"] == "DPoP"
    assert answer["cnf"] == {"jkt": device.key.thumbprint}
    assert (answer["sub"], answer["client_id"], answer["aud"]) == (device.id, device.id, "gateway-1")
    assert (answer["iss"], answer["jti"]) == (plane.url, claims.jti)
    assert isinstance(answer["exp"], int) and claims.exp - 1 < answer["exp"] <= claims.exp
    assert isinstance(answer["iat"], int)
    assert answer["authorization_details"][0]["constraints"]["max_output_tokens"] == 8
    assert answer["decision_id"] != claims.decision_id
    assert plane.enrol("operator").get(f"/v1/decisions/{answer['decision_id']}").expect(200)["outcome"] == "allow"


def test_its_own_subject_may_ask_and_others_may_not(device: Caller, trainer: Caller, capability: str) -> None:
    assert introspected(device, capability)["active"] is True
    for token in (capability, "nonsense"):
        reply = OAuthClient(trainer).send("/oauth/introspect", {"token": token})
        assert reply.expect(403)["error"] == "insufficient_scope"
        assert "role_granted" in [reason["code"] for reason in reply.json["reasons"]]


def test_nobody_asks_without_saying_who_they_are(plane: ControlPlane, capability: str) -> None:
    for path in ("/oauth/introspect", "/oauth/revoke"):
        reply = plane.call("POST", path, body=f"token={capability}".encode(), headers={"Content-Type": FORM})
        assert reply.expect(401)["error"] == "invalid_client"
        assert reply.headers["WWW-Authenticate"].startswith("DPoP ")
        assert plane.stranger().post(path, body=b"token=x", headers={"Content-Type": FORM}).status == 401


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
def test_a_subject_that_is_set_apart_holds_nothing(
    plane: ControlPlane, gateway: Caller, device: Caller, capability: str, status: str
) -> None:
    set_status(plane, device, status)
    assert introspected(gateway, capability) == INACTIVE


def test_policy_is_asked_again(
    plane: ControlPlane, gateway: Caller, trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer], seconds=600.0)
    token = trainer.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    assert introspected(gateway, token)["active"] is True
    report = {"updates": [plane.report(trainer, token)]}
    aggregator.post(f"/v1/rounds/{name}/updates", report).expect(200)
    assert introspected(gateway, token) == INACTIVE, "it was used, so policy would not grant it again"


def test_a_capability_for_weights_is_asked_again_with_its_digest(
    gateway: Caller, trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    asked = trainer.capability("model_access", digest=DIGEST, purpose="training", round_id=name)
    answer = introspected(gateway, asked.expect(201)["access_token"])
    assert answer["active"] is True
    assert answer["authorization_details"][0]["constraints"]["model_digest"] == DIGEST


def test_to_ask_uses_up_nothing_and_what_was_granted_counts_once(gateway: Caller, device: Caller) -> None:
    greedy = {**INFERENCE, "inference": {"prompt_tokens": 512, "max_output_tokens": 100_000}}
    token = OAuthClient(device).exchange(greedy).expect(200)["access_token"]
    for _ in range(3):
        assert introspected(gateway, token)["active"] is True, "its own tokens must not count against it"
    reply = device.capability("inference", inference=INFERENCE["inference"]).expect(201)
    usage = device.get(f"/v1/decisions/{reply['decision_id']}").expect(200)["facts"]["context"]["usage"]
    assert usage == {"window_seconds": 60.0, "requests": 1, "tokens": 100_512}


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 8192])
def test_of_what_is_no_token_nothing_is_said(gateway: Caller, token: str) -> None:
    assert introspected(gateway, token) == INACTIVE
    revoked(gateway, token)


def test_a_proof_or_an_altered_token_is_no_token(
    plane: ControlPlane, gateway: Caller, device: Caller, capability: str
) -> None:
    head, body, signature = capability.split(".")
    other = "A" if signature[0] != "A" else "B"
    for token in (
        make_proof(device.key, method="POST", url=plane.url + "/oauth/token", now=plane.clock()),
        f"{head}.{body}.{other}{signature[1:]}",
        OAuthClient(device).assertion(),
    ):
        assert introspected(gateway, token) == INACTIVE


def test_a_missing_token_is_an_invalid_request(gateway: Caller) -> None:
    for path in ("/oauth/introspect", "/oauth/revoke"):
        assert OAuthClient(gateway).send(path, {"token_type_hint": "x"}).expect(400)["error"] == "invalid_request"


def test_what_is_given_back_is_void(plane: ControlPlane, gateway: Caller, device: Caller, capability: str) -> None:
    revoked(device, capability, token_type_hint="refresh_token")
    assert introspected(gateway, capability) == INACTIVE
    revoked(device, capability)
    found = plane.services.capabilities.verifier.inspect(capability, action="inference")
    assert isinstance(found, Refused) and found.cause == "revoked"


def test_nobody_revokes_for_another_but_an_administrator(
    plane: ControlPlane, gateway: Caller, trainer: Caller, capability: str
) -> None:
    for caller in (gateway, trainer):
        reply = OAuthClient(caller).send("/oauth/revoke", {"token": capability})
        assert reply.expect(403)["error"] == "insufficient_scope"
    assert introspected(gateway, capability)["active"] is True


def test_an_access_token_can_be_looked_at_and_given_back(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    client = OAuthClient(device)
    token = client.access_token()
    answer = introspected(gateway, token)
    assert (answer["active"], answer["scope"], answer["aud"]) == (True, "ztfm:api", plane.url)
    assert "authorization_details" not in answer
    body = {"action": "inference", "resource": {"type": "model", "id": MODEL}, "audience": "gateway-1"}
    body["context"] = {"inference": INFERENCE["inference"]}
    client.call("POST", "/v1/capabilities", token, body).expect(201)
    revoked(device, token)
    assert introspected(gateway, token) == INACTIVE
    reply = client.call("POST", "/v1/capabilities", token, body)
    assert reply.status == 401
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("now", "held", "is_covered"),
    [
        (Constraints(), Constraints(max_output_tokens=5), True),
        (Constraints(max_output_tokens=5), Constraints(max_output_tokens=5), True),
        (Constraints(max_output_tokens=4), Constraints(max_output_tokens=5), False),
        (Constraints(max_output_tokens=5), Constraints(), False),
        (Constraints(detail="full"), Constraints(detail="label_only"), True),
        (Constraints(detail="label_only"), Constraints(detail="full"), False),
        (Constraints(detail="label_only"), Constraints(), False),
        (Constraints(one_time=True), Constraints(one_time=False), False),
        (Constraints(round_id="r-1"), Constraints(round_id="r-2"), False),
        (Constraints(max_norm=2.0), Constraints(max_norm=1.0), True),
        (Constraints(segment="homes"), Constraints(segment="core"), False),
        (Constraints(purpose="training"), Constraints(purpose="serving"), False),
    ],
)
def test_a_capability_that_is_wider_than_what_would_be_granted_now_is_not_covered(
    now: Constraints, held: Constraints, is_covered: bool
) -> None:
    assert covers(now, held) == is_covered
