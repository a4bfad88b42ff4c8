"""People administer with tokens of a real provider; policy gives their claims roles, and they get no capability."""

import http.client
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controlplane.sidecar.folders import product_folder
from tests.controlplane.identity.issuer import AUDIENCE, Issuer, ec_key, serving_issuer
from tests.support import ControlPlane, Reply, running, wait_until


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")])) as found:
        yield found


@pytest.fixture(scope="module")
def peopled(issuer: Issuer) -> Iterator[ControlPlane]:
    """A control plane whose policies know the provider."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        policies = Path(folder) / "policies"
        shutil.copytree(product_folder("policies"), policies)
        path = policies / "data" / "people" / "data.json"
        [known] = json.loads(path.read_text()).values()
        path.write_text(json.dumps({issuer.url: known}))
        with running(policies=policies, oidc_issuer=issuer.url, oidc_audience=AUDIENCE) as plane:
            yield plane


def ask(plane: ControlPlane, token: str, method: str, path: str, document: object = None) -> Reply:
    return plane.call(method, path, document, headers={"Authorization": f"Bearer {token}"})


def operator(issuer: Issuer) -> str:
    return issuer.token()


def administrator(issuer: Issuer) -> str:
    return issuer.token(groups=["staff", "federation-administrators"])


def test_an_administrator_issues_tokens_and_revokes(peopled: ControlPlane, issuer: Issuer) -> None:
    token, body = administrator(issuer), {"roles": ["trainer"], "segment": "homes"}
    assert len(ask(peopled, token, "POST", "/v1/enrolment-tokens", body).expect(201)["tokens"]) == 1
    device = peopled.enrol("trainer")
    change = {"status": "revoked", "reason": "gone"}
    ask(peopled, token, "POST", f"/v1/devices/{device.id}/status", change).expect(200)
    assert ask(peopled, token, "GET", f"/v1/devices/{device.id}").expect(200)["status"] == "revoked"


def test_an_operator_reads_and_quarantines_and_no_more(peopled: ControlPlane, issuer: Issuer) -> None:
    token, device = operator(issuer), peopled.enrol("trainer")
    path = f"/v1/devices/{device.id}/status"
    ask(peopled, token, "POST", path, {"status": "quarantined", "reason": "odd"}).expect(200)
    refused = ask(peopled, token, "POST", path, {"status": "revoked", "reason": "odd"})
    assert [reason["code"] for reason in refused.expect(403)["reasons"]] == ["status_granted"]
    body = {"roles": ["trainer"], "segment": "homes"}
    assert ask(peopled, token, "POST", "/v1/enrolment-tokens", body).status == 403
    assert ask(peopled, token, "GET", "/metrics").status == 200
    assert ask(peopled, token, "GET", "/v1/segments/table").expect(200)["grants"] == []


def test_what_a_person_did_is_on_record_without_their_token(peopled: ControlPlane, issuer: Issuer) -> None:
    token = operator(issuer)
    refused = ask(peopled, token, "POST", "/v1/enrolment-tokens", {"roles": ["trainer"], "segment": "homes"})
    record = ask(peopled, token, "GET", f"/v1/decisions/{refused.expect(403)['decision_id']}").expect(200)
    assert record["subject"].startswith("person-")
    assert record["facts"]["subject"]["properties"]["claims"]["groups"] == ["federation-operators"]
    assert token not in json.dumps(record)


def test_a_person_whom_policy_gives_no_role_may_nothing(peopled: ControlPlane, issuer: Issuer) -> None:
    token = issuer.token(groups=["visitors"])
    refused = ask(peopled, token, "GET", "/metrics").expect(403)
    assert {reason["code"] for reason in refused["reasons"]} >= {"role_granted", "subject_known"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/capabilities"),
        ("POST", "/v1/rounds"),
        ("POST", "/v1/certificates"),
        ("POST", "/v1/svids/jwt"),
        ("POST", "/v1/devices"),
        ("POST", "/access/v1/evaluation"),
    ],
)
def test_a_person_gets_no_capability_and_no_devices_call(
    peopled: ControlPlane, issuer: Issuer, method: str, path: str
) -> None:
    assert ask(peopled, administrator(issuer), method, path, {}).status == 401


def test_a_token_beside_a_proof_is_refused(peopled: ControlPlane, issuer: Issuer) -> None:
    device = peopled.enrol("operator")
    both = {"Authorization": f"Bearer {administrator(issuer)}"}
    assert peopled.call("GET", "/metrics", key=device.key, headers=both).status == 401


def test_what_does_not_hold_is_refused_with_its_cause_counted(peopled: ControlPlane, issuer: Issuer) -> None:
    wrong = {
        "person_wrong_audience": issuer.token(aud="another"),
        "person_wrong_issuer": issuer.token(iss="https://evil.example"),
        "person_expired": issuer.token(iat=1000, exp=1300),
        "person_unknown_key": issuer.token(ec_key("evil")),
        "person_bad_signature": issuer.token(ec_key("one")),
        "person_malformed": "x",
    }
    for cause, token in wrong.items():
        before = peopled.metric("ztfm_capabilities_refused_total", cause=cause)
        assert ask(peopled, token, "GET", "/metrics").status == 401, cause
        assert peopled.metric("ztfm_capabilities_refused_total", cause=cause) == before + 1
    assert peopled.metric("ztfm_authentications_total", method="person", outcome="refused") >= len(wrong)


def test_a_device_that_has_a_token_too_is_known_by_its_key_alone(peopled: ControlPlane) -> None:
    device = peopled.enrol("administrator")
    assert device.get("/metrics").status == 200


def test_without_a_provider_no_person_is_let_in(plane: ControlPlane, issuer: Issuer) -> None:
    assert ask(plane, administrator(issuer), "GET", "/metrics").status == 401


def test_a_provider_that_is_down_is_503_and_locks_out_nobody_else() -> None:
    with serving_issuer() as issuer:
        token = issuer.token()
    with running(oidc_issuer=issuer.url, oidc_audience=AUDIENCE) as plane:
        assert ask(plane, token, "GET", "/metrics").status == 503
        assert plane.enrol("operator").get("/metrics").status == 200
        assert plane.call("GET", "/readyz").status == 200


def test_a_body_that_comes_after_the_token_has_expired_does_nothing(peopled: ControlPlane, issuer: Issuer) -> None:
    now = int(peopled.clock())
    token = issuer.token(iat=now, exp=now + 3, groups=["federation-administrators"])
    body = json.dumps({"roles": ["trainer"], "segment": "homes"}).encode()

    def known() -> float:
        return peopled.metric("ztfm_authentications_total", method="person", outcome="ok")

    before, host = known(), urlsplit(peopled.listens)
    connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=30.0)
    try:
        connection.putrequest("POST", "/v1/enrolment-tokens")
        stated = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        for name, value in {**stated, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body[:5])
        wait_until(lambda: known() > before)
        wait_until(lambda: peopled.clock() > now + 3)
        connection.send(body[5:])
        assert connection.getresponse().status == 401
    finally:
        connection.close()
