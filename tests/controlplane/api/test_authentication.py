"""Exactly one method says who asks; what a refusal costs is borne by who caused it."""

import pytest
from structlog.testing import capture_logs

from controlplane.api.services import EdgeLimits
from tests.controlplane.api.oauth_client import INFERENCE, OAuthClient
from tests.support import MODEL, Caller, ControlPlane, running

PATH = "/v1/capabilities"
ASK = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": INFERENCE["inference"]},
}


@pytest.mark.parametrize("authorization", ["Basic eDp5", "Bearer abc", "Digest x", "Negotiate", "x", " "])
def test_a_proof_beside_anything_else_is_one_credential_too_many(
    plane: ControlPlane, consumer: Caller, authorization: str
) -> None:
    with capture_logs() as logged:
        reply = consumer.post(PATH, ASK, headers={"Authorization": authorization})
    assert reply.kind == "unauthenticated"
    assert [line["cause"] for line in logged if line["event"] == "refused"] == ["unknown_scheme"]
    assert plane.metric("ztfm_capabilities_refused_total", cause="unknown_scheme") > 0


def test_whoever_is_refused_reads_the_same_and_in_it_what_a_proof_has_to_say(
    plane: ControlPlane, consumer: Caller
) -> None:
    key, stranger = consumer.key, plane.stranger().key
    proofs = [
        plane.proof(key, "POST", PATH, url="http://localhost:8181" + PATH),
        plane.proof(key, "POST", PATH, now=plane.clock() - 600),
        plane.proof(key, "GET", PATH),
        plane.proof(stranger, "POST", PATH),
        "no proof",
    ]
    replies = [plane.call("POST", PATH, ASK, proof=proof) for proof in proofs]
    assert {reply.status for reply in replies} == {401}
    [told] = {reply.body for reply in replies}
    for part in ("Enrol the key", "made once", f"begins with {plane.url}", "header Date"):
        assert part.encode() in told


def test_an_authorization_does_not_help_a_newcomer(plane: ControlPlane) -> None:
    body = {"token": plane.token(["consumer"], "homes"), "roles": ["consumer"], "segment": "homes"}
    newcomer = plane.stranger()
    assert newcomer.post("/v1/devices", body, headers={"Authorization": "DPoP x"}).kind == "unauthenticated"
    newcomer.post("/v1/devices", body).expect(201)


def test_a_device_that_lacks_a_nonce_does_not_use_up_its_network_s_patience() -> None:
    limits = EdgeLimits(rate=0.01, burst=6.0, stranger_rate=0.01, stranger_burst=2.0)
    with running(limits=limits) as plane:
        client = OAuthClient(plane.enrol("consumer"))
        for _ in range(5):
            client.nonce = None
            assert client.send("/oauth/token", client.exchange_form()).expect(400)["error"] == "use_dpop_nonce"
        client.exchange().expect(200)
        busy = client.exchange()
        assert busy.expect(429)["error"] == "temporarily_unavailable"
        assert int(busy.headers["Retry-After"]) >= 1
        OAuthClient(plane.enrol("consumer")).exchange().expect(200)


def test_a_401_says_where_to_learn_how_to_ask(plane: ControlPlane) -> None:
    challenge = plane.call("POST", PATH, ASK).headers["WWW-Authenticate"]
    url = challenge.partition('resource_metadata="')[2].rstrip('"')
    assert plane.call("GET", url.removeprefix(plane.url)).expect(200)["resource"] == plane.url
