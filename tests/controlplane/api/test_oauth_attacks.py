"""Attacks on the token endpoint and on access tokens (RFC 7523, 8693, 8725, 9449): each refused, its cause logged."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.assertions import Assertion, examine_assertion
from controlplane.capabilities.nonces import Nonces
from controlplane.contracts.capability import Confirmation
from controlplane.jose.keys import DeviceKey, SigningKey
from tests.controlplane.api.oauth_client import INFERENCE, OAuthClient
from tests.controlplane.capabilities.attacks import (
    PROOF_ATTACKS,
    Request,
    compact,
    keyed,
    mirrored,
    public_forms,
    unsigned,
)
from tests.support import MODEL, Caller, ControlPlane, Reply, running

TOKEN = "/oauth/token"
ASK = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": INFERENCE["inference"]},
}


@contextmanager
def causes() -> Iterator[list[str]]:
    """The causes of all refusals that are logged meanwhile."""
    found: list[str] = []
    with capture_logs() as logged:
        yield found
    found += [line["cause"] for line in logged if line.get("event") == "refused"]


@dataclass(frozen=True)
class Victim:
    """A device, somebody else's key that is enrolled too, and what an assertion of the device's says."""

    client: OAuthClient
    other: OAuthClient

    @property
    def key(self) -> DeviceKey:
        return self.client.caller.key

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "ES256", "typ": "JWT", "kid": self.key.thumbprint}

    @property
    def claims(self) -> dict[str, Any]:
        caller = self.client.caller
        now = int(caller.plane.clock())
        named = {"iss": caller.id, "sub": caller.id, "aud": caller.plane.url}
        return {**named, "iat": now, "exp": now + 30, "jti": f"j-{id(named)}-{now}"}

    def made(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        stated = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        return compact(self.key, {**self.header, **(header or {})}, stated)


@pytest.fixture
def victim(plane: ControlPlane, consumer: Caller, trainer: Caller) -> Victim:
    return Victim(OAuthClient(consumer), OAuthClient(trainer))


def soon(victim: Victim, seconds: float) -> int:
    return int(victim.client.caller.plane.clock() + seconds)


Attack = tuple[Callable[[Victim], str], str]

ASSERTIONS: dict[str, Attack] = {
    "no token": (lambda v: "nonsense", "assertion_malformed"),
    "alg none": (lambda v: unsigned({**v.header, "alg": "none"}, v.claims), "assertion_malformed"),
    "alg none with a signature": (lambda v: v.made({"alg": "none"}), "assertion_wrong_algorithm"),
    "alg None, spelt otherwise": (lambda v: v.made({"alg": "nOnE"}), "assertion_wrong_algorithm"),
    "HS256 by the public key": (
        lambda v: keyed({**v.header, "alg": "HS256"}, v.claims, public_forms(v.key)["pem"]),
        "assertion_malformed",
    ),
    "HS512 by the public key": (
        lambda v: keyed({**v.header, "alg": "HS512"}, v.claims, public_forms(v.key)["pem"], "sha512"),
        "assertion_wrong_algorithm",
    ),
    "HS512 that says ES256": (
        lambda v: keyed(v.header, v.claims, public_forms(v.key)["pem"], "sha512"),
        "assertion_bad_signature",
    ),
    "RS256": (lambda v: v.made({"alg": "RS256"}), "assertion_wrong_algorithm"),
    "a proof as an assertion": (
        lambda v: v.client.caller.plane.proof(v.key, "POST", TOKEN),
        "assertion_wrong_type",
    ),
    "a capability as an assertion": (
        lambda v: str(v.client.exchange().expect(200)["access_token"]),
        "assertion_wrong_type",
    ),
    "an access token as an assertion": (lambda v: v.client.access_token(), "assertion_wrong_type"),
    "the type of a capability": (lambda v: v.made({"typ": "at+jwt"}), "assertion_wrong_type"),
    "a type that is none": (lambda v: v.made({"typ": {"x": 1}}), "assertion_wrong_type"),
    "an alg that is a list": (lambda v: v.made({"alg": ["ES256"]}), "assertion_wrong_algorithm"),
    "jku": (lambda v: v.made({"jku": "https://evil.example/jwks.json"}), "assertion_unknown_header"),
    "x5u": (lambda v: v.made({"x5u": "https://evil.example/chain.pem"}), "assertion_unknown_header"),
    "x5c": (lambda v: v.made({"x5c": ["MIIB"]}), "assertion_unknown_header"),
    "jwk of the attacker": (
        lambda v: compact(v.other.caller.key, {**v.header, "jwk": v.other.caller.key.public.model_dump()}, v.claims),
        "assertion_unknown_header",
    ),
    "crit": (lambda v: v.made({"crit": ["exp"]}), "assertion_unknown_header"),
    "nested": (
        lambda v: compact(v.key, {**v.header, "cty": "JWT"}, v.claims),
        "assertion_unknown_header",
    ),
    "a token within a token": (
        lambda v: v.key.sign(v.made().split(".")[0].encode(), v.made().encode()),
        "assertion_malformed",
    ),
    "kid of another enrolled key": (lambda v: v.made({"kid": v.other.caller.key.thumbprint}), "assertion_wrong_key"),
    "kid as a path": (lambda v: v.made({"kid": "../../../dev/null"}), "assertion_wrong_key"),
    "kid as SQL": (lambda v: v.made({"kid": "' UNION SELECT 'x' --"}), "assertion_wrong_key"),
    "kid that is no text": (lambda v: v.made({"kid": {"$ne": ""}}), "assertion_wrong_key"),
    "another key": (lambda v: compact(DeviceKey.generate(), v.header, v.claims), "assertion_bad_signature"),
    "another enrolled key": (lambda v: compact(v.other.caller.key, v.header, v.claims), "assertion_bad_signature"),
    "another subject's own": (lambda v: v.other.assertion(), "assertion_wrong_key"),
    "for another subject": (lambda v: v.made(sub=v.other.caller.id), "assertion_wrong_subject"),
    "by another issuer": (lambda v: v.made(iss=v.other.caller.id), "assertion_wrong_subject"),
    "without a subject": (lambda v: v.made(sub=None), "assertion_wrong_subject"),
    "an actor": (lambda v: v.made(act={"sub": v.other.caller.id}), "assertion_delegates"),
    "who may act": (lambda v: v.made(may_act={"sub": v.other.caller.id}), "assertion_delegates"),
    "another audience": (lambda v: v.made(aud="https://other.example"), "assertion_wrong_audience"),
    "an audience of the resource": (lambda v: v.made(aud="gateway-1"), "assertion_wrong_audience"),
    "a second audience": (
        lambda v: v.made(aud=[v.client.caller.plane.url, "https://other.example"]),
        "assertion_wrong_audience",
    ),
    "an audience that starts alike": (
        lambda v: v.made(aud=v.client.caller.plane.url + ".evil.example"),
        "assertion_wrong_audience",
    ),
    "no audience": (lambda v: v.made(aud=None), "assertion_wrong_audience"),
    "an audience that is no text": (lambda v: v.made(aud={"x": 1}), "assertion_wrong_audience"),
    "expired": (lambda v: v.made(exp=soon(v, -1)), "assertion_expired"),
    "valid for too long": (lambda v: v.made(exp=soon(v, 120)), "assertion_too_long"),
    "valid for ever": (lambda v: v.made(exp=253_402_300_799), "assertion_too_long"),
    "from the future": (lambda v: v.made(iat=soon(v, 40)), "assertion_not_yet_valid"),
    "not before the future": (lambda v: v.made(nbf=soon(v, 40)), "assertion_not_yet_valid"),
    "no expiry": (lambda v: v.made(exp=None), "assertion_malformed"),
    "an expiry in quotes": (lambda v: v.made(exp=str(soon(v, 30))), "assertion_malformed"),
    "an expiry that is true": (lambda v: v.made(exp=True), "assertion_malformed"),
    "no id": (lambda v: v.made(jti=None), "assertion_malformed"),
    "a long id": (lambda v: v.made(jti="x" * 200), "assertion_malformed"),
    "a repeated name": (
        lambda v: v.key.sign(
            v.made().split(".")[0].encode(),
            (str(v.claims).replace("'", '"')[:-1] + ', "sub": "dev-x"}').encode(),
        ),
        "assertion_malformed",
    ),
    "a header that is too long": (lambda v: v.made({"kid": "k" * 2000}), "assertion_malformed"),
    "mixed spelling": (lambda v: v.made() + "=", "assertion_malformed"),
}


@pytest.mark.parametrize("name", ASSERTIONS)
def test_an_assertion_that_does_not_hold(victim: Victim, name: str) -> None:
    make, cause = ASSERTIONS[name]
    for form, error, status in (
        (victim.client.exchange_form(subject_token=make(victim)), "invalid_request", 400),
        (victim.client.credentials_form(client_assertion=make(victim)), "invalid_client", 401),
    ):
        with causes() as logged:
            reply = victim.client.token(form)
        assert reply.expect(status)["error"] == error
        assert logged == [cause]
        assert cause not in reply.body.decode()


def test_an_oversized_assertion_is_not_even_read(victim: Victim) -> None:
    with causes() as logged:
        reply = victim.client.exchange(subject_token="eyJ" + "a" * 9000)
    assert reply.expect(400)["error"] == "invalid_request"
    assert logged == ["form_unfit"]


def test_an_assertion_serves_once_however_it_is_used(victim: Victim) -> None:
    first, second = victim.client.assertion(), victim.client.assertion()
    victim.client.exchange(subject_token=first).expect(200)
    victim.client.credentials(client_assertion=second).expect(200)
    attempts = (
        victim.client.exchange_form(subject_token=first),
        victim.client.exchange_form(subject_token=mirrored(first)),
        victim.client.exchange_form(subject_token=second),
        victim.client.credentials_form(client_assertion=first),
    )
    for form in attempts:
        with causes() as logged:
            assert victim.client.token(form).status in (400, 401)
        assert logged == ["assertion_replayed"]


def test_an_assertion_serves_once_across_replicas(plane: ControlPlane, victim: Victim) -> None:
    first = victim.client.assertion()
    victim.client.exchange(subject_token=first).expect(200)
    found = examine_assertion(
        first,
        key=victim.key.public,
        subject=victim.client.caller.id,
        audiences={plane.url},
        now=plane.clock(),
    )
    assert isinstance(found, Assertion)
    uses = plane.run(plane.store.capabilities.consume({found.use_id: found.expires_at}))
    assert uses == {found.use_id: 1}, "the store, which replicas share, knows that it was used"


def test_two_who_come_at_once_with_one_assertion_are_one(victim: Victim) -> None:
    assertion = victim.client.assertion()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: victim.client.exchange(subject_token=assertion).status, range(8)))
    assert sorted(found) == [200] + [400] * 7


@pytest.mark.parametrize("name", PROOF_ATTACKS)
def test_a_proof_that_does_not_hold(plane: ControlPlane, victim: Victim, name: str) -> None:
    make, cause = PROOF_ATTACKS[name]
    proof = make(Request(victim.key, "POST", plane.url + TOKEN, plane.clock()))
    with causes() as logged:
        reply = victim.client.token(victim.client.exchange_form(), proof=proof)
    assert logged == [cause]
    expected = (400, "invalid_dpop_proof") if cause.startswith("proof_") else (401, "invalid_client")
    assert (reply.status, reply.json["error"]) == expected


def test_a_request_without_a_proof_gets_nothing(plane: ControlPlane, victim: Victim) -> None:
    form = urlencode(victim.client.exchange_form()).encode()
    with causes() as logged:
        reply = plane.call("POST", TOKEN, body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.expect(400)["error"] == "invalid_dpop_proof"
    assert reply.headers["DPoP-Nonce"]
    assert logged == ["proof_missing"]


def test_another_enrolled_device_s_proof_does_not_go_with_an_assertion(victim: Victim) -> None:
    stolen = victim.client.assertion()
    with causes() as logged:
        reply = victim.other.exchange(subject_token=stolen)
    assert reply.expect(400)["error"] == "invalid_request"
    assert logged == ["assertion_wrong_key"]
    victim.client.exchange(subject_token=stolen).expect(200)


def test_a_replayed_proof_gets_nothing_even_with_a_fresh_assertion(plane: ControlPlane, victim: Victim) -> None:
    proof = plane.proof(victim.key, "POST", TOKEN, nonce=plane.services.proving.nonces.current())
    victim.client.token(victim.client.exchange_form(), proof=proof).expect(200)
    with causes() as logged:
        reply = victim.client.token(victim.client.exchange_form(), proof=proof)
    assert reply.expect(400)["error"] == "invalid_dpop_proof"
    assert logged == ["proof_replayed"]


def test_a_nonce_is_needed_and_told(plane: ControlPlane, victim: Victim) -> None:
    form = victim.client.exchange_form()
    elsewhere = Nonces(plane.clock).current()
    name, slot, mac = plane.services.proving.nonces.current().split(".")
    for nonce, cause in (
        (None, "proof_nonce_missing"),
        (elsewhere, "proof_foreign_nonce"),
        (f"{name}.{slot}.{'A' * 22}", "proof_wrong_nonce"),
        (f"{name}.{int(slot) + 1}.{mac}", "proof_wrong_nonce"),
        ("nonsense", "proof_wrong_nonce"),
        (7, "proof_wrong_nonce"),
    ):
        proof = plane.proof(victim.key, "POST", TOKEN, nonce=nonce)
        with causes() as logged:
            reply = victim.client.token(form, proof=proof)
        assert reply.expect(400)["error"] == "use_dpop_nonce"
        assert logged == [cause]
        victim.client.nonce = reply.headers["DPoP-Nonce"]
    victim.client.token(form).expect(200)


def test_only_the_key_s_holder_is_asked_for_a_nonce(plane: ControlPlane, victim: Victim) -> None:
    head = plane.proof(victim.key, "POST", TOKEN).split(".")[0]
    forged = ".".join([head, *plane.proof(DeviceKey.generate(), "POST", TOKEN).split(".")[1:]])
    with causes() as logged:
        reply = victim.client.token(victim.client.exchange_form(), proof=forged)
    assert reply.json["error"] == "invalid_dpop_proof"
    assert logged == ["proof_bad_signature"]


def test_elsewhere_a_nonce_is_offered_and_a_wrong_one_is_refused(plane: ControlPlane, victim: Victim) -> None:
    path = "/v1/capabilities"
    reply = plane.call("POST", path, ASK, proof=plane.proof(victim.key, "POST", path))
    assert reply.status == 201
    fresh = plane.proof(victim.key, "POST", path, nonce=reply.headers["DPoP-Nonce"])
    assert plane.call("POST", path, ASK, proof=fresh).status == 201
    foreign = plane.proof(victim.key, "POST", path, nonce=Nonces(plane.clock).current())
    with causes() as logged:
        reply = plane.call("POST", path, ASK, proof=foreign)
    assert reply.kind == "unauthenticated"
    assert reply.headers["WWW-Authenticate"].startswith('DPoP error="use_dpop_nonce"')
    assert logged == ["proof_foreign_nonce"]
    assert "DPoP-Nonce" not in plane.call("GET", "/livez").headers


def bearing(plane: ControlPlane, key: DeviceKey, authorization: str, **proof: Any) -> Reply:
    path = "/v1/capabilities"
    made = plane.proof(key, "POST", path, **proof)
    return plane.call("POST", path, ASK, proof=made, headers={"Authorization": authorization})


def test_an_access_token_that_is_misused(plane: ControlPlane, victim: Victim) -> None:
    token, another = victim.client.access_token(), victim.client.access_token()
    capability = victim.client.exchange().expect(200)["access_token"]
    mine, theirs = victim.key, victim.other.caller.key
    foreign = AccessTokens(SigningKey.generate, tuple, plane.url, plane.clock, lambda _jti, _iat: "good").mint(
        victim.client.caller.id, Confirmation(jkt=mine.thumbprint)
    )[0]
    public = public_forms(mine)["pem"]
    attempts: list[tuple[str, DeviceKey, str | None, str, str]] = [
        (f"DPoP {token}", theirs, token, "wrong_subject", "invalid_token"),
        (f"DPoP {token}", DeviceKey.generate(), token, "unknown_key", ""),
        (f"Bearer {token}", mine, token, "unknown_scheme", ""),
        (f"Basic {token}", mine, token, "unknown_scheme", ""),
        (f"DPoP {token}", mine, None, "proof_wrong_token", "invalid_dpop_proof"),
        (f"DPoP {token}", mine, another, "proof_wrong_token", "invalid_dpop_proof"),
        (f"DPoP {capability}", mine, capability, "malformed", "invalid_token"),
        (f"DPoP {foreign}", mine, foreign, "unknown_key", "invalid_token"),
        ("DPoP", mine, None, "malformed", "invalid_token"),
        (f"DPoP {token} x", mine, token, "malformed", "invalid_token"),
    ]
    kid = plane.call("GET", "/.well-known/jwks.json").expect(200)["keys"][0]["kid"]
    claims = {"iss": plane.url, "sub": victim.client.caller.id}
    shapeless = (
        unsigned({"alg": "none", "typ": "at+jwt", "kid": kid}, claims),
        keyed({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims, public),
        compact(mine, {"alg": "ES256", "typ": "JWT", "kid": kid}, claims),
        compact(mine, {"alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": mine.public.model_dump()}, claims),
    )
    attempts += [(f"DPoP {forged}", mine, forged, "malformed", "invalid_token") for forged in shapeless]
    by_device = compact(mine, {"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims)
    attempts.append((f"DPoP {by_device}", mine, by_device, "bad_signature", "invalid_token"))
    by_name = compact(mine, {"alg": "ES256", "typ": "at+jwt", "kid": mine.thumbprint}, claims)
    attempts.append((f"DPoP {by_name}", mine, by_name, "unknown_key", "invalid_token"))
    for authorization, key, hashed, cause, error in attempts:
        with causes() as logged:
            reply = bearing(plane, key, authorization, access_token=hashed)
        assert (reply.kind, logged) == ("unauthenticated", [cause]), authorization[:12]
        assert (f'error="{error}"' in reply.headers["WWW-Authenticate"]) == bool(error)
    assert bearing(plane, mine, f"dPoP {token}", access_token=token).status == 201


def test_a_token_without_a_proof_is_worth_nothing(plane: ControlPlane, victim: Victim) -> None:
    token = victim.client.access_token()
    with causes() as logged:
        reply = plane.call("POST", "/v1/capabilities", ASK, headers={"Authorization": f"DPoP {token}"})
    assert (reply.kind, logged) == ("unauthenticated", ["proof_missing"])


def test_a_token_s_proof_is_used_once(plane: ControlPlane, victim: Victim) -> None:
    token = victim.client.access_token()
    proof = plane.proof(victim.key, "POST", "/v1/capabilities", access_token=token)
    headers = {"Authorization": f"DPoP {token}"}
    assert plane.call("POST", "/v1/capabilities", ASK, proof=proof, headers=headers).status == 201
    with causes() as logged:
        assert plane.call("POST", "/v1/capabilities", ASK, proof=proof, headers=headers).status == 401
    assert logged == ["proof_replayed"]


def test_two_authorization_headers_are_one_too_many(plane: ControlPlane, victim: Victim) -> None:
    token = victim.client.access_token()
    path = "/v1/decisions/dec-1"
    proof = plane.proof(victim.key, "GET", path, access_token=token)
    lines = f"Authorization: DPoP {token}\r\n" * 2 + f"DPoP: {proof}\r\n"
    with causes() as logged:
        answer = plane.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    assert answer.split(b" ", 2)[1] == b"401"
    assert logged == ["unknown_scheme"]


def test_causes_are_counted_by_name(plane: ControlPlane, victim: Victim) -> None:
    before = plane.metric("ztfm_capabilities_refused_total", cause="assertion_expired")
    victim.client.exchange(subject_token=victim.made(exp=soon(victim, -1)))
    assert plane.metric("ztfm_capabilities_refused_total", cause="assertion_expired") == before + 1


def test_what_has_had_its_time_is_worth_nothing() -> None:
    ahead = [0.0]
    with running(clock=lambda: time.time() + ahead[0]) as plane:
        client = OAuthClient(plane.enrol("consumer"))
        token = client.access_token()
        old = client.nonce
        ahead[0] = 61.0
        assert client.call("POST", "/v1/capabilities", token, ASK).status == 201
        ahead[0] = 121.0
        client.nonce = old
        with causes() as logged:
            assert client.exchange().expect(400)["error"] == "use_dpop_nonce"
        assert logged == ["proof_stale_nonce"]
        client.exchange().expect(200)
        ahead[0] = 301.0
        client.nonce = plane.services.proving.nonces.current()
        with causes() as logged:
            assert client.call("POST", "/v1/capabilities", token, ASK).status == 401
        assert logged == ["expired"]


def test_with_always_every_proof_on_every_route_needs_a_nonce() -> None:
    with running(dpop_nonce="always") as plane:
        key = DeviceKey.generate()
        body = {"token": plane.token(["consumer"], "homes"), "roles": ["consumer"], "segment": "homes"}
        with causes() as logged:
            reply = plane.call("POST", "/v1/devices", body, key=key)
        assert reply.kind == "unauthenticated"
        assert 'error="use_dpop_nonce"' in reply.headers["WWW-Authenticate"]
        assert logged == ["proof_nonce_missing"]
        nonce = reply.headers["DPoP-Nonce"]
        proof = plane.proof(key, "POST", "/v1/devices", nonce=nonce)
        device = Caller(plane, key, plane.call("POST", "/v1/devices", body, proof=proof).expect(201)["id"])
        assert device.post("/v1/capabilities", ASK).status == 401
        proof = plane.proof(key, "POST", "/v1/capabilities", nonce=nonce)
        assert plane.call("POST", "/v1/capabilities", ASK, proof=proof).status == 201
        client = OAuthClient(device)
        token = client.access_token()
        assert client.call("POST", "/v1/capabilities", token, ASK).status == 201
        client.nonce = None
        assert client.call("POST", "/v1/capabilities", token, ASK).status == 401


def test_with_off_no_nonce_is_asked_for_or_looked_at() -> None:
    with running(dpop_nonce="off") as plane:
        client = OAuthClient(plane.enrol("consumer"))
        reply = client.token(client.exchange_form(), proof_changes={"nonce": "whatever"})
        reply.expect(200)
        assert "DPoP-Nonce" not in reply.headers
