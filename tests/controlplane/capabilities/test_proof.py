import json
import re
from typing import Any, get_args

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.capabilities import proof as proof_module
from controlplane.capabilities.proof import Proof, ProofVerifier, make_proof, token_hash
from controlplane.capabilities.refusals import Cause, Refused
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey, load_public
from tests.clocks import Clock
from tests.controlplane.capabilities.conftest import START, TARGET, World, forge, opened

TOKEN = "header.payload.signature"
DIGEST = f"sha256:{'7' * 64}"
_MISSING = object()


def _cause(world: World, proof: Any, **changes: Any) -> str:
    verdict = world.proofs.verify(proof, **{"method": "SUBMIT", "url": TARGET, **changes})
    return verdict.cause if isinstance(verdict, Refused) else ""


def _altered(world: World, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None) -> str:
    own_header, own_claims = opened(world.proof(None))
    return forge(world.device, _merged(own_header, header), _merged(own_claims, claims))


def _merged(known: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in {**known, **(changes or {})}.items() if value is not _MISSING}


def test_a_proof_of_this_request_holds_and_says_whose_it_is(world: World) -> None:
    proof = world.proof(TOKEN, nonce="n-1", digest=DIGEST)
    verdict = world.proofs.verify(
        proof,
        method="SUBMIT",
        url=TARGET,
        access_token=TOKEN,
        nonce="n-1",
        digest=DIGEST,
        thumbprint=world.device.thumbprint,
    )
    assert isinstance(verdict, Proof)
    assert (verdict.key, verdict.thumbprint) == (world.device.public, world.device.thumbprint)
    assert verdict.issued_at == START


def test_what_is_bound_but_not_asked_for_does_no_harm(world: World) -> None:
    assert _cause(world, world.proof(TOKEN, nonce="n-1", digest=DIGEST)) == ""


@pytest.mark.parametrize(
    ("made", "asked", "cause"),
    [
        ({"method": "PULL"}, {}, "proof_wrong_target"),
        ({"method": "submit"}, {}, "proof_wrong_target"),
        ({"url": "urn:ztfm:aggregator-1:r2"}, {}, "proof_wrong_target"),
        ({"url": "urn:ztfm:aggregator-2:r1"}, {}, "proof_wrong_target"),
        ({}, {"url": "no target"}, "proof_wrong_target"),
        ({"now": START - 65.0}, {}, "proof_stale"),
        ({"now": START + 5.1}, {}, "proof_stale"),
        ({}, {"access_token": TOKEN}, "proof_wrong_token"),
        ({"access_token": "other"}, {"access_token": TOKEN}, "proof_wrong_token"),
        ({}, {"nonce": "n-1"}, "proof_wrong_nonce"),
        ({"nonce": "n-2"}, {"nonce": "n-1"}, "proof_wrong_nonce"),
        ({}, {"digest": DIGEST}, "wrong_digest"),
        ({"digest": DIGEST}, {"digest": DIGEST.replace("7", "8")}, "wrong_digest"),
        ({}, {"thumbprint": "A" * 43}, "wrong_key"),
    ],
)
def test_a_proof_of_another_request_is_refused_with_its_cause(
    world: World, made: dict[str, Any], asked: dict[str, Any], cause: str
) -> None:
    assert _cause(world, world.proof(None, **made), **asked) == cause


@pytest.mark.parametrize("age", [-5.0, 0.0, 64.9])
def test_a_proof_holds_within_its_window(world: World, age: float) -> None:
    assert _cause(world, world.proof(None, now=START - age)) == ""


def test_the_url_is_compared_in_one_spelling_and_without_its_query(world: World) -> None:
    proof = world.proof(None, method="POST", url="HTTPS://Control.example:443/v1/rounds?x=1")
    assert _cause(world, proof, method="POST", url="https://control.example/v1/rounds?y=2#part") == ""


def test_a_proof_passes_once_and_after_its_window_it_is_stale(world: World) -> None:
    proof = world.proof(None)
    assert [_cause(world, proof), _cause(world, proof)] == ["", "proof_replayed"]
    world.clock.now += 64.9
    assert _cause(world, proof) == "proof_replayed"
    world.clock.now += 0.2
    assert _cause(world, proof) == "proof_stale"


def test_a_replay_with_another_signature_over_the_same_claims_is_a_replay(world: World) -> None:
    proof = world.proof(None)
    header, claims = opened(proof)
    again = forge(world.device, header, claims)
    assert again != proof
    assert [_cause(world, proof), _cause(world, again)] == ["", "proof_replayed"]


def test_two_devices_may_use_one_identifier_and_nobody_uses_up_anothers(world: World) -> None:
    other = DeviceKey.generate()
    _, claims = opened(world.proof(None))
    theirs = forge(other, {"typ": "dpop+jwt", "alg": "ES256", "jwk": other.public.model_dump()}, claims)
    ours = _altered(world, claims=claims)
    assert [_cause(world, theirs), _cause(world, ours), _cause(world, theirs)] == ["", "", "proof_replayed"]


def test_a_proof_that_was_refused_is_not_used_up(world: World) -> None:
    proof = world.proof(None)
    assert _cause(world, proof, method="PULL") == "proof_wrong_target"
    assert _cause(world, proof) == ""


def test_a_full_memory_lets_nothing_pass(world: World) -> None:
    world.proofs = ProofVerifier(world.clock, capacity=2)
    assert [_cause(world, world.proof(None)) for _ in range(3)] == ["", "", "proof_replayed"]


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "DPOP+JWT"},
        {"typ": None},
        {"typ": ["dpop+jwt"]},
        {"typ": _MISSING},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "es256"},
        {"alg": None},
        {"alg": _MISSING},
        {"jwk": _MISSING},
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": []},
        {"jwk": {}},
        {"kid": "k1"},
        {"crit": ["b64"]},
        {"b64": False},
        {"x5c": []},
        {"jku": "https://evil.example/jwks.json"},
    ],
)
def test_a_header_with_anything_else_is_malformed(world: World, header: dict[str, Any]) -> None:
    assert _cause(world, _altered(world, header=header)) == "proof_malformed"


def _private_part(key: DeviceKey) -> str:
    private = serialization.load_pem_private_key(key.to_pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return encode_segment(private.private_numbers().private_value.to_bytes(32, "big")).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": "Ed25519"},
        {"kty": "RSA"},
        {"kty": "oct"},
        {"kty": "OKP"},
        {"kty": _MISSING},
        {"x": _MISSING},
        {"x": "A" * 43},
        {"x": "A" * 42},
        {"x": 1},
        {"y": None},
        {"use": "sig"},
        {"k": "c2VjcmV0"},
    ],
)
def test_a_key_that_is_no_public_p256_key_is_malformed(world: World, change: dict[str, Any]) -> None:
    jwk = _merged(world.device.public.model_dump(), change)
    assert _cause(world, _altered(world, header={"jwk": jwk})) == "proof_malformed"


def test_a_proof_that_gives_its_private_key_away_is_malformed(world: World) -> None:
    jwk = {**world.device.public.model_dump(), "d": _private_part(world.device)}
    assert _cause(world, _altered(world, header={"jwk": jwk})) == "proof_malformed"


def test_a_key_off_the_curve_is_malformed_every_time(world: World) -> None:
    public = world.device.public.model_dump()
    swapped = {**public, "x": public["y"], "y": public["x"]}
    assert [_cause(world, _altered(world, header={"jwk": swapped})) for _ in range(2)] == ["proof_malformed"] * 2


def test_a_proof_signed_by_another_key_than_it_names_is_refused(world: World) -> None:
    header, claims = opened(world.proof(None))
    assert _cause(world, forge(DeviceKey.generate(), header, claims)) == "proof_bad_signature"


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": _MISSING},
        {"jti": ""},
        {"jti": None},
        {"jti": 7},
        {"jti": ["a"]},
        {"jti": "a" * 129},
        {"jti": "a b"},
        {"jti": "a\n"},
        {"jti": "ä"},
        {"jti": "\ud800"},
        {"htm": _MISSING},
        {"htm": None},
        {"htm": ["SUBMIT"]},
        {"htu": _MISSING},
        {"htu": None},
        {"htu": {"url": TARGET}},
        {"iat": _MISSING},
        {"iat": None},
        {"iat": True},
        {"iat": str(START)},
        {"iat": [START]},
        {"iat": -1},
        {"iat": 10**12},
        {"iat": 10**400},
        {"iat": float("inf")},
        {"iat": float("nan")},
    ],
)
def test_claims_that_are_missing_or_mistyped_are_malformed(world: World, claims: dict[str, Any]) -> None:
    assert _cause(world, _altered(world, claims=claims)) == "proof_malformed"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "1" + "0" * 5000, "0x10", "1_000", "01"])
def test_numbers_that_json_or_time_does_not_have_are_malformed(world: World, number: str) -> None:
    header, claims = opened(world.proof(None))
    raw = json.dumps(claims).replace(json.dumps(claims["iat"]), number).encode()
    assert _cause(world, forge(world.device, header, raw)) == "proof_malformed"


def test_repeated_names_are_malformed(world: World) -> None:
    header, claims = opened(world.proof(None))
    doubled = json.dumps(claims)[:-1].encode() + b',"htm":"SUBMIT"}'
    assert _cause(world, forge(world.device, header, doubled)) == "proof_malformed"
    doubled = json.dumps(header)[:-1].encode() + b',"alg":"ES256"}'
    assert _cause(world, forge(world.device, doubled, claims)) == "proof_malformed"


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"text"', b"\xff", b"{", b'{"a":' * 2000 + b"1" + b"}" * 2000])
def test_claims_that_are_no_object_are_malformed(world: World, raw: bytes) -> None:
    header, claims = opened(world.proof(None))
    assert _cause(world, forge(world.device, header, raw)) == "proof_malformed"
    assert _cause(world, forge(world.device, raw, claims)) == "proof_malformed"


@pytest.mark.parametrize("claims", [{"ath": 1}, {"ath": None}, {"ath": token_hash(TOKEN)[:-1]}, {"ath": TOKEN}])
def test_the_hash_of_the_token_is_compared_whole(world: World, claims: dict[str, Any]) -> None:
    assert _cause(world, _altered(world, claims=claims), access_token=TOKEN) == "proof_wrong_token"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_character_of_a_proof_can_be_changed(data: st.DataObject) -> None:
    world = World()
    proof = world.proof(TOKEN, nonce="n", digest=DIGEST)
    at = data.draw(st.integers(0, len(proof) - 1))
    new = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=\n +/é"))
    changed = proof[:at] + new + proof[at + 1 :]
    asked = {"access_token": TOKEN, "nonce": "n", "digest": DIGEST, "thumbprint": world.device.thumbprint}
    assert bool(_cause(world, changed, **asked)) is (changed != proof)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.none(), st.binary(), st.integers(), st.lists(st.text())))
def test_whatever_is_no_proof_is_malformed_and_never_an_exception(anything: Any) -> None:
    assert _cause(World(), anything) == "proof_malformed"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce", "ztfm_digest"]), _JSON)
def test_a_claim_of_any_value_is_the_right_one_or_refused(name: str, value: Any) -> None:
    world = World()
    header, claims = opened(world.proof(TOKEN, nonce="n", digest=DIGEST))
    forged = forge(world.device, header, {**claims, name: value})
    cause = _cause(world, forged, access_token=TOKEN, nonce="n", digest=DIGEST)
    if name == "jti":
        assert (cause == "") is (isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None)
    elif name == "iat":
        assert cause in {"proof_malformed", "proof_stale"}
    else:
        assert (cause == "") is (value == claims[name])


def test_a_proof_is_made_only_for_an_absolute_target(world: World) -> None:
    for url in ("", "/v1/rounds", "http://u:p@h/", "http://h/a b"):
        with pytest.raises(ValueError, match="absolute"):
            make_proof(world.device, method="GET", url=url, now=START)


def test_others_can_read_our_proofs_and_we_can_read_theirs(world: World) -> None:
    ours = world.proof(TOKEN)
    read = jwt.decode(ours, load_public(world.device.public), algorithms=["ES256"], options={"verify_iat": False})
    assert read["ath"] == token_hash(TOKEN)
    private = serialization.load_pem_private_key(world.device.to_pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    theirs = jwt.encode(
        {"jti": "x", "htm": "SUBMIT", "htu": TARGET, "iat": int(START), "ath": token_hash(TOKEN)},
        private,
        algorithm="ES256",
        headers={"typ": "dpop+jwt", "jwk": world.device.public.model_dump()},
    )
    assert _cause(world, theirs, access_token=TOKEN) == ""


def test_every_cause_has_words_and_no_words_repeat_what_was_presented(world: World) -> None:
    assert set(proof_module._DETAILS) <= set(get_args(Cause))
    verdict = world.proofs.verify("sesame.open.up", method="SUBMIT", url=TARGET)
    assert isinstance(verdict, Refused)
    assert "sesame" not in f"{verdict!r}"


def test_a_window_is_that_of_its_verifier() -> None:
    clock = Clock()
    verifier = ProofVerifier(clock, max_age_seconds=1.0, leeway_seconds=0.0)
    key = DeviceKey.generate()
    for shift, holds in ((0.001, False), (0.0, True), (-0.999, True), (-1.0, False)):
        proof = make_proof(key, method="PULL", url=TARGET, now=clock.now + shift)
        assert isinstance(verifier.verify(proof, method="PULL", url=TARGET), Proof) is holds
