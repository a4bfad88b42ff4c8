"""What an attacker tries at a guarded endpoint: each is refused, with its cause counted, logged, and never shown."""

import base64
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from adapters.web.remedies import REMEDIES
from controlplane.capabilities.refusals import Cause
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey, SigningKey
from tests.adapters.web.conftest import DIGEST, PUBLIC_URL, Endpoint, Reply


@pytest.fixture(autouse=True)
def log(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test sends, each refusal that is counted is in the log with its cause."""
    caplog.set_level(logging.INFO, "ztfm.point")
    yield
    said = [record.getMessage() for record in caplog.get_records("call") if record.name == "ztfm.point"]
    for action, cause in endpoint.outcomes:
        is_said = any(re.fullmatch(rf"refused {action}: \d+, {cause}(: .+)?", line) for line in said)
        assert is_said == (cause != "allowed"), (action, cause, said)


def refused(endpoint: Endpoint, reply: Reply, status: int, cause: str, action: str = "inference") -> None:
    assert reply.status == status, reply
    assert endpoint.seen == []
    assert endpoint.outcomes == {(action, cause): 1}
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert status in (403, 411, 413) or cause not in reply.body.decode() + reply.challenge


async def test_a_stolen_token_without_its_key_is_worth_nothing(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    reply = await endpoint.call(token, key=DeviceKey.generate())
    refused(endpoint, reply, 401, "wrong_key")
    assert 'error="invalid_dpop_proof"' in reply.challenge


async def test_a_stolen_token_without_any_proof_is_worth_nothing(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    reply = await endpoint.send("POST", "/v1/infer", [("Authorization", f"DPoP {token}")])
    refused(endpoint, reply, 401, "proof_missing")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_a_token_that_is_bound_to_a_key_is_no_bearer_token(endpoint: Endpoint, scheme: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("Authorization", f"{scheme} {token}"), ("DPoP", endpoint.proof(token))]
    refused(endpoint, await endpoint.send("POST", "/v1/infer", shown), 401, "proof_missing")


async def test_a_request_that_was_overheard_does_not_work_again(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("Authorization", f"DPoP {token}"), ("DPoP", endpoint.proof(token))]
    assert (await endpoint.send("POST", "/v1/infer", shown)).status == 200
    again = await endpoint.send("POST", "/v1/infer", shown)
    assert (again.status, len(endpoint.seen)) == (401, 1)
    assert endpoint.outcomes["inference", "proof_replayed"] == 1


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"method": "PUT"}, "proof_wrong_target"),
        ({"method": "post"}, "proof_wrong_target"),
        ({"url": f"{PUBLIC_URL}/v1/other"}, "proof_wrong_target"),
        ({"url": "https://models.example/v1/infer"}, "proof_wrong_target"),
        ({"url": "http://models.example/api/v1/infer"}, "proof_wrong_target"),
        ({"url": "https://evil.example/api/v1/infer"}, "proof_wrong_target"),
        ({"access_token": "another"}, "proof_wrong_token"),
        ({"access_token": None}, "proof_wrong_token"),
        ({"now": 1_767_225_500.0}, "proof_stale"),
        ({"now": 1_767_225_700.0}, "proof_stale"),
    ],
)
async def test_a_proof_for_something_else_is_refused(endpoint: Endpoint, changes: dict[str, Any], cause: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    stated = {"method": "POST", "token": token, **changes}
    proof = endpoint.proof(stated.pop("token"), stated.pop("method"), **stated)
    reply = await endpoint.send("POST", "/v1/infer", [("Authorization", f"DPoP {token}"), ("DPoP", proof)])
    refused(endpoint, reply, 401, cause)
    assert 'error="invalid_dpop_proof"' in reply.challenge


@pytest.mark.parametrize(
    ("minted", "cause"),
    [
        ({"audience": "models-2"}, "wrong_audience"),
        ({"issuer": "https://evil.example"}, "wrong_issuer"),
        ({"key": SigningKey.generate()}, "unknown_key"),
    ],
)
async def test_a_token_of_or_for_somebody_else_is_refused(
    endpoint: Endpoint, minted: dict[str, Any], cause: str
) -> None:
    reply = await endpoint.call(endpoint.issuer.mint(endpoint.device, **minted))
    refused(endpoint, reply, 401, cause)
    assert 'error="invalid_token"' in reply.challenge


@pytest.mark.parametrize(
    ("minted", "cause"),
    [
        ({"action": "gradient_submission"}, "wrong_action"),
        ({"action": "model_access"}, "wrong_action"),
        ({"resource": "encoder"}, "wrong_resource"),
        ({"round_id": "r1"}, "wrong_round"),
        ({"model_digest": DIGEST}, "wrong_digest"),
        ({"purpose": "training"}, "wrong_purpose"),
        ({"max_bytes": 3}, "too_large"),
        ({"resource_type": "dataset"}, "wrong_resource"),
    ],
)
async def test_a_holder_is_told_that_the_capability_does_not_reach_so_far(
    endpoint: Endpoint, minted: dict[str, Any], cause: str
) -> None:
    reply = await endpoint.call(endpoint.issuer.mint(endpoint.device, **minted), body=b"four")
    refused(endpoint, reply, 403, cause)
    assert 'error="insufficient_scope"' in reply.challenge


@pytest.mark.parametrize("minted", [{"action": "model_access"}, {"resource": "encoder"}, {"round_id": "r1"}])
async def test_a_thief_is_not_told_what_a_capability_reaches(endpoint: Endpoint, minted: dict[str, Any]) -> None:
    token = endpoint.issuer.mint(endpoint.device, **minted)
    refused(endpoint, await endpoint.call(token, key=DeviceKey.generate()), 401, "wrong_key")


async def test_a_capability_ends_at_its_second(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device, ttl=60.0)
    endpoint.clock.now += 59.9
    assert (await endpoint.call(token)).status == 200
    endpoint.clock.now += 0.1
    assert (await endpoint.call(token)).status == 401
    assert endpoint.outcomes["inference", "expired"] == 1


async def test_a_capability_for_one_use_works_once_with_two_good_proofs(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device, "gradient_submission", round_id="r1", one_time=True)
    assert (await endpoint.call(token, path="/rounds/r1")).status == 200
    again = await endpoint.call(token, path="/rounds/r1")
    assert (again.status, again.json["type"]) == (409, "urn:ztfm:problem:conflict")
    assert len(endpoint.seen) == 1


async def test_a_refused_try_does_not_use_a_capability_up(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device, "gradient_submission", round_id="r1", one_time=True)
    assert (await endpoint.call(token, path="/rounds/r1", key=DeviceKey.generate())).status == 401
    assert (await endpoint.call(token, path="/rounds/r2")).status == 403
    assert (await endpoint.call(token, path="/rounds/r1")).status == 200


@pytest.mark.parametrize(
    "shown",
    [
        ["DPoP {token}", "DPoP {token}"],
        ["DPoP {token}", "Bearer {token}"],
        ["Bearer {token}", "DPoP {token}"],
        ["DPoP {token}, Bearer {token}"],
        ["DPoP  "],
        ["DPoP"],
        ["DPoP {token} x"],
        ["Basic {token}"],
        ["{token}"],
        ["DPoP " + "a" * 8193],
    ],
)
async def test_more_or_other_than_one_credential_is_a_bad_request(endpoint: Endpoint, shown: list[str]) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    headers = [("Authorization", value.format(token=token)) for value in shown]
    reply = await endpoint.send("POST", "/v1/infer", [*headers, ("DPoP", endpoint.proof(token))])
    assert (reply.status, endpoint.seen) == (400, [])


async def test_two_proofs_are_a_bad_request(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    proofs = [("DPoP", endpoint.proof(token)), ("DPoP", endpoint.proof(token))]
    reply = await endpoint.send("POST", "/v1/infer", [("Authorization", f"DPoP {token}"), *proofs])
    refused(endpoint, reply, 400, "ambiguous")


@pytest.mark.parametrize("scheme", ["dpop", "DPOP", "dPoP"])
async def test_the_case_of_the_scheme_does_not_matter(endpoint: Endpoint, scheme: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("authorization", f"{scheme} {token}"), ("dpop", endpoint.proof(token))]
    assert (await endpoint.send("POST", "/v1/infer", shown)).status == 200


async def test_a_token_in_the_query_or_the_body_is_not_looked_at(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("DPoP", endpoint.proof(token)), ("Content-Type", "application/x-www-form-urlencoded")]
    for target, body in [
        (f"/v1/infer?access_token={token}", b""),
        ("/v1/infer", f"access_token={token}"[:900].encode()),
    ]:
        assert (await endpoint.send("POST", target, shown, body)).status == 401
    assert endpoint.outcomes == {("inference", "no_capability"): 2}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/%69nfer",
        "/v1%2Finfer",
        "/v1%2finfer",
        "/v1/infer%00",
        "/v1/./infer",
        "/v1/x/../infer",
        "/v1/%2e%2e/v1/infer",
        "//v1/infer",
        "/v1//infer",
        "/v1/infer/.",
        "/v1\\infer",
        "/v1%5Cinfer",
        "/v1/infer%FF",
        "/healthz/../v1/infer",
        "/healthz/%2e%2e/v1/infer",
        "/healthz%2f..%2fv1/infer",
    ],
)
async def test_a_crooked_path_reaches_nothing(endpoint: Endpoint, path: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    for proven in (path, "/v1/infer"):
        shown = [("Authorization", f"DPoP {token}"), ("DPoP", endpoint.proof(token, url=f"{PUBLIC_URL}{proven}"))]
        reply = await endpoint.send("POST", path, shown)
        assert reply.status in (400, 404), reply
    assert endpoint.seen == []


@pytest.mark.parametrize("path", ["/v1/infer.", "/v1/infer/", "/V1/infer", "/v1/infer;a=b", "/v1", "/", "/healthz/"])
async def test_a_path_that_no_rule_is_for_is_not_found_whatever_is_shown(endpoint: Endpoint, path: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    refused(endpoint, await endpoint.call(token, path=path), 404, "no_rule", "none")


@pytest.mark.parametrize("host", ["evil.example", "models.example", "127.0.0.1", "models.example:443"])
@pytest.mark.parametrize("forwarded", [[], [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")]])
async def test_what_a_request_says_of_its_host_changes_nothing(
    endpoint: Endpoint, host: str, forwarded: list[tuple[str, str]]
) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("Authorization", f"DPoP {token}"), *forwarded]
    good = [*shown, ("DPoP", endpoint.proof(token))]
    assert (await endpoint.send("POST", "/v1/infer", good, host=host)).status == 200
    evil = [*shown, ("DPoP", endpoint.proof(token, url=f"https://{host}.evil/api/v1/infer"))]
    assert (await endpoint.send("POST", "/v1/infer", evil, host=host)).status == 401


async def test_an_absolute_target_gains_nothing(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("Authorization", f"DPoP {token}"), ("DPoP", endpoint.proof(token, url="http://evil.example/v1/infer"))]
    reply = await endpoint.send("POST", "http://evil.example/v1/infer", shown)
    assert reply.status in (400, 401)
    assert endpoint.seen == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options_are_guarded_like_every_method(endpoint: Endpoint, method: str) -> None:
    assert (await endpoint.send(method, "/v1/infer")).status == 401
    token = endpoint.issuer.mint(endpoint.device)
    posted = [("Authorization", f"DPoP {token}"), ("DPoP", endpoint.proof(token, "POST"))]
    assert (await endpoint.send(method, "/v1/infer", posted)).status == 401
    assert endpoint.seen == []
    assert (await endpoint.call(token, method)).status == 200


@pytest.mark.parametrize("override", ["X-HTTP-Method-Override", "X-Method-Override"])
async def test_a_method_is_what_was_sent(endpoint: Endpoint, override: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("Authorization", f"DPoP {token}"), ("DPoP", endpoint.proof(token)), (override, "POST")]
    refused(endpoint, await endpoint.send("GET", "/v1/infer", shown), 405, "no_rule")


@pytest.mark.parametrize(
    "headers",
    [[("Content-Length", "1001")], [("Transfer-Encoding", "chunked")]],
    ids=["too large", "of unknown size"],
)
async def test_a_body_is_bounded_before_it_is_read(endpoint: Endpoint, headers: list[tuple[str, str]]) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    shown = [("Authorization", f"DPoP {token}"), ("DPoP", endpoint.proof(token)), *headers]
    reply = await endpoint.send("POST", "/v1/infer", shown)
    refused(endpoint, reply, 413 if "Length" in headers[0][0] else 411, "body")


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ({"alg": "none"}, "malformed"),
        ({"alg": "HS256"}, "malformed"),
        ({"typ": "JWT"}, "malformed"),
        ({"jku": "https://evil.example/keys"}, "malformed"),
        ({"jwk": {"kty": "EC"}}, "malformed"),
        ({"x5u": "https://evil.example/x"}, "malformed"),
        ({"crit": ["exp"]}, "malformed"),
        ({"kid": "../../etc/passwd"}, "unknown_key"),
        ({"kid": None}, "unknown_key"),
    ],
)
async def test_a_forged_header_is_refused(endpoint: Endpoint, header: dict[str, Any], cause: str) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    head, payload, signature = token.split(".")
    genuine = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    forged = encode_segment(json.dumps({**genuine, **header}).encode()).decode()
    refused(endpoint, await endpoint.call(f"{forged}.{payload}.{signature}"), 401, cause)


async def test_a_changed_claim_breaks_the_signature(endpoint: Endpoint) -> None:
    head, payload, signature = endpoint.issuer.mint(endpoint.device, resource="encoder").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["authorization_details"][0]["resource_id"] = "intents"
    forged = encode_segment(json.dumps(claims).encode()).decode()
    refused(endpoint, await endpoint.call(f"{head}.{forged}.{signature}"), 401, "bad_signature")


async def test_the_log_has_the_cause_and_nothing_of_what_was_presented(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ztfm.point")
    token = endpoint.issuer.mint(endpoint.device)
    proof = endpoint.proof(token, key=DeviceKey.generate())
    shown = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
    assert (await endpoint.send("POST", "/v1/infer?secret=hunter2", shown)).status == 401
    assert (await endpoint.send("POST", "/v1/hunter2")).status == 404
    said = [record.getMessage() for record in caplog.records if record.name == "ztfm.point"]
    assert [line.split(": ")[:2] for line in said] == [
        ["refused inference", "401, wrong_key"],
        ["refused none", "404, no_rule"],
    ]
    assert not any(secret in line for line in said for secret in (token, proof, "hunter2"))


async def test_the_first_refusal_of_a_cause_is_told_aloud_with_its_remedy_and_the_others_quietly(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    token = endpoint.issuer.mint(endpoint.device, audience="another")
    for _ in range(3):
        assert (await endpoint.call(token)).status == 401
    levels = [record.levelno for record in caplog.records if record.name == "ztfm.point"]
    assert levels == [logging.WARNING, logging.INFO, logging.INFO]
    assert "`audience`" in caplog.text


async def test_a_caller_reads_how_the_endpoint_is_called_and_the_same_whatever_was_wrong(endpoint: Endpoint) -> None:
    token, other = endpoint.issuer.mint(endpoint.device), endpoint.issuer.mint(endpoint.device, audience="another")
    replies = [
        await endpoint.send("POST", "/v1/infer"),
        await endpoint.call(other),
        await endpoint.call(token, key=DeviceKey.generate()),
        await endpoint.call(token, url=PUBLIC_URL + "/v1/other"),
        await endpoint.call(token, now=endpoint.clock() - 600),
    ]
    [told] = {reply.body for reply in replies}
    for known in (b"audience models-1", f"POST {PUBLIC_URL}/v1/infer".encode(), b"Date"):
        assert known in told


async def test_whoever_is_proven_learns_what_the_path_needs(endpoint: Endpoint) -> None:
    reply = await endpoint.call(endpoint.issuer.mint(endpoint.device, resource="encoder"))
    assert (reply.status, "This path needs one for inference of intents." in reply.json["detail"]) == (403, True)


def test_every_cause_that_an_endpoint_may_name_has_its_remedy() -> None:
    elsewhere = {cause for cause in get_args(Cause) if cause.startswith("assertion_") or cause.endswith("_nonce")}
    of_updates = {"norm_exceeded", "not_sealed", "proof_nonce_missing"}
    here = {"no_capability", "ambiguous", "keys_lost", "path", "no_rule", "body"}
    assert set(REMEDIES) == (set(get_args(Cause)) - elsewhere - of_updates) | here
