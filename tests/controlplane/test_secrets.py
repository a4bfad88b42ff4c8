"""No token, proof or capability is in any log, at any level, whatever happens; nor in the store or the metrics."""

import io
import logging
import os
import secrets
import signal

import structlog

from controlplane.confidentiality.releasing import open_release, to_text
from controlplane.contracts.secrets import ReleasedSecret
from controlplane.jose.keys import DeviceKey
from tests.controlplane.api.oauth_client import OAuthClient
from tests.controlplane.attestations import proven
from tests.support import DIGEST, MODEL, Caller, ControlPlane, running, wait_until


def hand_secrets_around(plane: ControlPlane, keeper: Caller) -> None:
    """Have a key of a model kept and released, and show it where it does not belong."""
    value = secrets.token_urlsafe(32)
    plane.shown.append(value)
    keeper.post("/v1/secrets", {"id": f"{MODEL}/weights", "secret": value}).expect(201)
    for document in ({"id": "x", "secret": f"{value}="}, {"id": "x", value: value}, {"id": "x", "secret": value[:-1]}):
        keeper.post("/v1/secrets", document)
    consumer = plane.enrol("consumer")
    key = proven(consumer)
    plane.shown.append(str(consumer.capability("model_access", digest=DIGEST, purpose="serving").json["access_token"]))
    asked = {"purpose": "serving", "capability": plane.shown[-1]}
    path = f"/v1/secrets/{MODEL}%2Fweights/release"
    released = ReleasedSecret.model_validate(consumer.post(path, asked).expect(200))
    opened = open_release(released, key, secret=f"{MODEL}/weights", device=consumer.id)
    assert to_text(opened) == value
    consumer.post(path, {"purpose": value, "capability": value})
    keeper.get("/v1/secrets")


def misuse(plane: ControlPlane) -> None:
    """Use every kind of secret, rightly and wrongly."""
    trainer, aggregator = plane.enrol("trainer"), plane.enrol("aggregator")
    aggregator.open_round("round-1", [trainer])
    trainer.capability("model_access", digest=DIGEST, purpose="training", round_id="round-1").expect(201)
    token = trainer.capability("gradient_submission", round_id="round-1").expect(201)["access_token"]
    report = {"updates": [plane.report(trainer, token), plane.report(aggregator, token)]}
    for _ in range(2):
        aggregator.post("/v1/rounds/round-1/updates", report).expect(200)
    oauth = OAuthClient(plane.enrol("consumer"))
    capability, access = oauth.exchange().expect(200)["access_token"], oauth.access_token()
    oauth.call("GET", f"/v1/decisions/{capability}", access)
    for shown in (capability, access, oauth.assertion()):
        oauth.exchange(subject_token=shown)
        oauth.credentials(client_assertion=shown, client_id=shown)
        oauth.exchange(shown, audience=shown, scope=shown)
        oauth.send("/oauth/introspect", {"token": shown, "token_type_hint": shown})
        oauth.send("/oauth/revoke", {"token": shown})
    used = plane.token(["trainer"], "homes")
    for roles in (["operator"], ["trainer"], ["trainer"]):
        body = {"token": used, "roles": roles, "segment": "homes"}
        plane.call("POST", "/v1/devices", body, key=DeviceKey.generate())
    plane.call("POST", "/v1/devices", {"token": [used], used: used}, key=trainer.key)
    proof = plane.proof(trainer.key, "POST", "/v1/rounds")
    plane.call("POST", "/v1/capabilities", {"action": token}, proof=proof)
    plane.call("GET", f"/v1/decisions/{token}", key=trainer.key)
    plane.call("GET", f"/{proof}?token={token}", proof=proof)
    plane.raw(f"GET /livez HTTP/1.1\r\nHost: x\r\nDPoP: {proof}{'a' * 20_000}\r\n\r\n".encode())
    plane.raw(f"GET /{proof} HTTP/9.9\r\nDPoP: {proof}\r\n\r\n".encode())
    shown = {"Authorization": f"Bearer {plane.services.access.alerts_token}"}
    assert plane.call("POST", "/v1/alerts", {}, headers=shown).status == 400
    keeper = plane.enrol("administrator")
    hand_secrets_around(plane, keeper)
    following = keeper.post("/v1/keys").expect(202)["kid"]
    keeper.post(f"/v1/keys/{following}/withdraw", {"reason": "a test"}).expect(200)
    os.kill(plane.sidecar.pid or 0, signal.SIGKILL)
    trainer.capability("gradient_submission", round_id="round-1")
    wait_until(lambda: plane.call("GET", "/readyz").status == 200)


def test_no_secret_is_logged_stored_or_counted(logged: io.StringIO) -> None:
    with running() as plane:
        files = [plane.state / name for name in ("metrics-token", "alerts-token", "bootstrap-secret", "sealing.key")]
        hidden = [plane.sidecar.token, *(path.read_text().strip() for path in files)]
        hidden += plane.services.capabilities.keys.ring.current().to_pem().decode().splitlines()[1:-1]
        misuse(plane)
        hidden += plane.shown
        exposed = plane.metrics_text()
        kept = b"".join(path.read_bytes() for path in plane.state.glob("ztfm.db*"))
    written = logged.getvalue()
    assert "not_http" in written
    assert "refused" in written
    assert len(hidden) >= 20
    for secret in hidden:
        for part in {secret, *secret.split(".")}:
            # A proof's header names a public key; its claims and its signature are nobody else's.
            if part == secret or (len(part) >= 20 and part != secret.split(".")[0]):
                assert part not in written
                assert part not in exposed
                assert part.encode() not in kept


def test_an_exception_that_holds_a_token_is_logged_without_it(logged: io.StringIO) -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJkZXYtMSJ9.c2lnbmF0dXJl"
    try:
        raise ValueError(f"cannot read {token} and ztfm-enrol-abcdef and Bearer {'x' * 32}")
    except ValueError:
        structlog.get_logger("test").exception(
            "failed", detail=f"DPoP {token}", proof="anything", nested={"token": "x"}
        )
        logging.getLogger("some.library").exception("failed with %s", token)
    written = logged.getvalue()
    assert written.count("failed") >= 2
    for part in (token, "eyJ", "ztfm-enrol-abcdef", "x" * 32, "anything"):
        assert part not in written
