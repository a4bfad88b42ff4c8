"""The token endpoint, letter by letter: what it grants is what `POST /v1/capabilities` grants, and nothing else."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.oauth import OAuthProblem, TokenRequest
from tests.controlplane.api.oauth_client import ACCESS_TOKEN, INFERENCE, JWT, JWT_BEARER, TOKEN_EXCHANGE, OAuthClient
from tests.support import DIGEST, MODEL, Caller, ControlPlane


@pytest.fixture
def client(consumer: Caller) -> OAuthClient:
    return OAuthClient(consumer)


def claims_of(plane: ControlPlane, token: str) -> Any:
    claims = plane.services.capabilities.verifier.recognise(token)
    assert not isinstance(claims, Refused), claims
    return claims


def refusal(reply: Any, error: str, status: int = 400) -> Mapping[str, Any]:
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Pragma"] == "no-cache"
    document: Mapping[str, Any] = reply.expect(status)
    assert document["error"] == error, document
    assert not set(document["error_description"]) & set('"\\')
    assert ("WWW-Authenticate" in reply.headers) == (status == 401)
    return document


def test_a_device_credential_becomes_a_capability(plane: ControlPlane, client: OAuthClient) -> None:
    reply = client.exchange()
    answer = reply.expect(200)
    assert answer["issued_token_type"] == ACCESS_TOKEN
    assert answer["token_type"] == "DPoP"
    assert isinstance(answer["expires_in"], int) and 5 <= answer["expires_in"] <= 300
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Pragma"] == "no-cache"
    assert "refresh_token" not in answer
    keys = plane.call("GET", "/.well-known/jwks.json").expect(200)
    verifier = CapabilityVerifier(keys, plane.url, "gateway-1", plane.clock)
    proof = plane.proof(
        client.caller.key, "POST", "", url="https://gateway-1.example/ask", access_token=answer["access_token"]
    )
    claims = verifier.verify(
        answer["access_token"], proof=proof, method="POST", url="https://gateway-1.example/ask", action="inference"
    )
    assert not isinstance(claims, Refused), claims
    assert [detail.model_dump(exclude_none=True) for detail in claims.authorization_details] == answer[
        "authorization_details"
    ]
    assert (claims.sub, claims.aud, claims.decision_id) == (client.caller.id, "gateway-1", answer["decision_id"])


def test_it_is_the_capability_that_the_other_endpoint_mints(plane: ControlPlane, client: OAuthClient) -> None:
    exchanged = claims_of(plane, client.exchange().expect(200)["access_token"])
    size = INFERENCE["inference"]
    asked = client.caller.capability("inference", audience="gateway-1", inference=size).expect(201)
    direct = claims_of(plane, asked["access_token"])
    varying = {"jti", "iat", "exp", "decision_id", "status"}
    assert exchanged.model_dump(exclude=varying) == direct.model_dump(exclude=varying)
    assert exchanged.exp - exchanged.iat == direct.exp - direct.iat


def test_every_action_can_be_asked_for(
    plane: ControlPlane, trainer: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    base = {"type": "ztfm", "resource_type": "model", "resource_id": MODEL, "round_id": name}
    client = OAuthClient(trainer)
    pull = {**base, "action": "model_access", "purpose": "training", "digest": DIGEST}
    claims = claims_of(plane, client.exchange(pull, audience="aggregator-1").expect(200)["access_token"])
    assert claims.detail.constraints.model_digest == DIGEST
    assert claims.detail.constraints.purpose == "training"
    submit = {**base, "action": "gradient_submission"}
    claims = claims_of(plane, client.exchange(submit, audience="aggregator-1").expect(200)["access_token"])
    assert claims.detail.constraints.one_time
    assert claims.detail.constraints.round_id == name


def test_a_denial_by_policy_says_what_is_missing(trainer: Caller) -> None:
    document = refusal(OAuthClient(trainer).exchange(), "access_denied")
    assert "role_granted" in [reason["code"] for reason in document["reasons"]]
    assert trainer.get(f"/v1/decisions/{document['decision_id']}").expect(200)["outcome"] == "deny"


def test_a_client_may_authenticate_with_an_assertion_too(client: OAuthClient) -> None:
    form = {**client.exchange_form(), **client.credentials_form(), "grant_type": client.exchange_form()["grant_type"]}
    client.token(form).expect(200)
    same = client.assertion()
    twice = {**form, "subject_token": same, "client_assertion": same}
    refusal(client.token(twice), "invalid_request")


PARAMETERS: dict[str, tuple[dict[str, Any], str, int]] = {
    "no subject token": ({"subject_token": ""}, "invalid_request", 400),
    "no subject token type": ({"subject_token_type": None}, "invalid_request", 400),
    "a subject token of another type": ({"subject_token_type": ACCESS_TOKEN}, "invalid_request", 400),
    "another token wanted": (
        {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        "invalid_request",
        400,
    ),
    "an actor": ({"actor_token": "x", "actor_token_type": JWT}, "invalid_request", 400),
    "an actor's type alone": ({"actor_token_type": JWT}, "invalid_request", 400),
    "a resource": ({"resource": "https://gateway-1.example"}, "invalid_target", 400),
    "no audience": ({"audience": None}, "invalid_request", 400),
    "an audience that is none": ({"audience": "a b"}, "invalid_target", 400),
    "a scope": ({"scope": "everything"}, "invalid_scope", 400),
    "no details": ({"authorization_details": None}, "invalid_request", 400),
    "another client": ({"client_id": "dev-other"}, "invalid_client", 401),
    "a client secret": ({"client_secret": "hunter2"}, "invalid_client", 401),
    "an assertion of another type": (
        {"client_assertion": "x", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        "invalid_client",
        401,
    ),
    "a grant that nobody knows": ({"grant_type": "password"}, "unsupported_grant_type", 400),
    "a refresh": ({"grant_type": "refresh_token", "refresh_token": "x"}, "unsupported_grant_type", 400),
    "no grant": ({"grant_type": None}, "invalid_request", 400),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_wrong_parameter_has_its_code(client: OAuthClient, name: str) -> None:
    changes, error, status = PARAMETERS[name]
    form = {**client.exchange_form(), **changes}
    refusal(client.token({name: value for name, value in form.items() if value is not None}), error, status)


def test_the_control_plane_is_no_enforcement_point(plane: ControlPlane, client: OAuthClient) -> None:
    for audience in (plane.url, plane.url + "/", plane.url.upper()):
        refusal(client.exchange(audience=audience), "invalid_target")
        reply = client.caller.capability("inference", audience=audience, inference=INFERENCE["inference"])
        assert reply.kind == "invalid-request"


DETAILS: dict[str, str] = {
    "no JSON": "{",
    "an object": json.dumps(INFERENCE),
    "nothing": "[]",
    "two": json.dumps([INFERENCE, INFERENCE]),
    "a number": "[1]",
    "another type": json.dumps([{**INFERENCE, "type": "openid"}]),
    "no type": json.dumps([{name: value for name, value in INFERENCE.items() if name != "type"}]),
    "an unknown field": json.dumps([{**INFERENCE, "locations": ["x"]}]),
    "a wrong type": json.dumps([{**INFERENCE, "round_id": 7}]),
    "an action that nobody knows": json.dumps([{**INFERENCE, "action": "policy_edit"}]),
    "a repeated name": json.dumps([INFERENCE])[:-2] + ', "action": "model_access"}]',
    "a way out of the list": json.dumps([INFERENCE]) + ', "list": [1]',
    "a number that JSON does not have": json.dumps([{**INFERENCE, "inference": {"prompt_tokens": float("nan")}}]),
    "nested deeply": "[" * 3000 + "]" * 3000,
}


@pytest.mark.parametrize("name", DETAILS)
def test_details_that_do_not_fit(client: OAuthClient, name: str) -> None:
    refusal(client.exchange(DETAILS[name]), "invalid_authorization_details")


def test_a_repeated_parameter_is_refused(client: OAuthClient) -> None:
    form = list(client.exchange_form().items())
    for name, error in (("subject_token", "invalid_request"), ("audience", "invalid_target"), ("x", "invalid_request")):
        client.nonce = client.caller.plane.services.proving.nonces.current()
        refusal(client.send("/oauth/token", [*form, (name, "gateway-2"), ("x", "1")]), error)


def test_what_nobody_knows_is_passed_over_and_what_is_empty_is_left_out(client: OAuthClient) -> None:
    form = {**client.exchange_form(), "favourite_colour": "blue", "scope": "", "actor_token": "", "client_id": ""}
    client.token(form).expect(200)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "application/json"}, 400),
        (b"", {}, 400),
        (b"grant_type", {}, 400),
        (b"grant_type=%ff", {}, 400),
        ("grant_type=ä".encode(), {}, 400),
        (b"&".join(b"a%d=1" % number for number in range(40)), {}, 400),
        (b"grant_type=" + b"x" * 40_000, {}, 413),
        (b"grant_type=" + b"x" * 9_000, {}, 400),
        (b"grant_type=x", {"Content-Encoding": "gzip"}, 400),
    ],
)
def test_a_form_that_cannot_be_read(
    plane: ControlPlane, consumer: Caller, body: bytes, headers: dict[str, str], status: int
) -> None:
    proof = plane.proof(consumer.key, "POST", "/oauth/token", nonce=plane.services.proving.nonces.current())
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    refusal(plane.call("POST", "/oauth/token", body=body, headers=sent, proof=proof), "invalid_request", status)


def test_an_access_token_opens_this_api_and_is_no_capability(plane: ControlPlane, operator: Caller) -> None:
    client = OAuthClient(operator)
    reply = client.credentials(scope="ztfm:api", audience=plane.url, client_id=operator.id)
    answer = reply.expect(200)
    assert answer["expires_in"] == 300
    assert (answer["token_type"], answer["scope"]) == ("DPoP", "ztfm:api")
    assert not {"refresh_token", "authorization_details", "issued_token_type"} & answer.keys()
    token = answer["access_token"]
    assert client.call("GET", "/v1/decisions/dec-" + "0" * 32, token).kind == "not-found"
    keys = plane.call("GET", "/.well-known/jwks.json").expect(200)
    for audience in (plane.url, "gateway-1"):
        found = CapabilityVerifier(keys, plane.url, audience, plane.clock).inspect(token, action="inference")
        assert isinstance(found, Refused)
    capability = OAuthClient(plane.enrol("consumer")).exchange().expect(200)["access_token"]
    assert isinstance(plane.services.capabilities.access_tokens.verify(capability), Refused)


def test_policy_still_decides_what_an_access_token_s_subject_may_do(plane: ControlPlane, consumer: Caller) -> None:
    client = OAuthClient(consumer)
    round_ = {"id": "r", "model": MODEL, "model_digest": DIGEST, "members": [consumer.id], "duration_seconds": 1.0}
    assert client.call("POST", "/v1/rounds", client.access_token(), round_).kind == "denied"
    body = {"action": "inference", "resource": {"type": "model", "id": MODEL}, "audience": "gateway-1"}
    body["context"] = {"inference": INFERENCE["inference"]}
    capability = client.call("POST", "/v1/capabilities", client.access_token(), body).expect(201)["access_token"]
    assert claims_of(plane, capability).cnf.jkt == consumer.key.thumbprint


def test_a_subject_s_standing_is_read_anew_at_each_use(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    client = OAuthClient(device)
    token = client.access_token()
    body = {"action": "inference", "resource": {"type": "model", "id": MODEL}, "audience": "gateway-1"}
    body["context"] = {"inference": INFERENCE["inference"]}
    client.call("POST", "/v1/capabilities", token, body).expect(201)
    plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
    assert client.call("POST", "/v1/capabilities", token, body).kind == "denied"
    client.credentials().expect(200)
    plane.run(plane.services.registry.set_status(device.id, "revoked"))  # type: ignore[attr-defined]
    refusal(client.credentials(), "unauthorized_client")


@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        ({"scope": "ztfm:api openid"}, "invalid_scope", 400),
        ({"audience": "gateway-1"}, "invalid_target", 400),
        ({"audience": "/"}, "invalid_target", 400),
        ({"resource": "https://gateway-1.example"}, "invalid_target", 400),
        ({"authorization_details": json.dumps([INFERENCE])}, "invalid_authorization_details", 400),
        ({"client_assertion_type": None}, "invalid_client", 401),
        ({"client_assertion": "", "client_assertion_type": None}, "invalid_client", 401),
        ({"actor_token": "x"}, "invalid_request", 400),
    ],
)
def test_client_credentials_give_nothing_else(
    client: OAuthClient, changes: dict[str, Any], error: str, status: int
) -> None:
    form = {**client.credentials_form(), **changes}
    refusal(client.token({name: value for name, value in form.items() if value is not None}), error, status)


def test_the_metadata_is_complete_and_true(plane: ControlPlane, client: OAuthClient) -> None:
    server = plane.call("GET", "/.well-known/oauth-authorization-server").expect(200)
    resource = plane.call("GET", "/.well-known/oauth-protected-resource").expect(200)
    assert server["issuer"] == plane.url == resource["resource"]
    assert resource["authorization_servers"] == [plane.url]
    assert server["protected_resources"] == [plane.url]
    for name in ("token", "introspection", "revocation"):
        endpoint = server[f"{name}_endpoint"]
        assert plane.call("POST", endpoint.removeprefix(plane.url)).json["error"] in {
            "invalid_dpop_proof",
            "invalid_client",
        }
    assert plane.call("GET", server["jwks_uri"].removeprefix(plane.url)).expect(200)["keys"]
    for grant in server["grant_types_supported"]:
        assert client.token({"grant_type": grant}).json["error"] != "unsupported_grant_type"
    for document in (server, resource):
        assert None not in document.values()
        assert document["dpop_signing_alg_values_supported"] == ["ES256"]


_VALUES = st.text(max_size=40) | st.sampled_from([JWT, ACCESS_TOKEN, TOKEN_EXCHANGE, JWT_BEARER, "client_credentials"])
_FORMS = st.dictionaries(st.sampled_from(sorted(TokenRequest.model_fields)), _VALUES, max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_FORMS, kind=st.sampled_from(["exchange", "credentials", "bare"]))
def test_any_form_is_answered_in_oauth_s_words(client: OAuthClient, changes: dict[str, str], kind: str) -> None:
    base = {"exchange": client.exchange_form, "credentials": client.credentials_form, "bare": dict}[kind]()
    reply = client.token({**base, **changes})
    if reply.status != 200:
        assert OAuthProblem.model_validate_json(reply.body).error not in {"server_error", "temporarily_unavailable"}
        assert reply.status in (400, 401)
