import importlib
import json
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import adapters
from controlplane import capabilities
from controlplane.capabilities.errors import KeySetError
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.refusals import Cause, Refused
from controlplane.capabilities.replay import ReplayCache
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import CapabilityClaims, CapabilityRequest
from controlplane.jose.keys import DeviceKey, SigningKey, jwks
from tests.controlplane.capabilities.conftest import AUDIENCE, ISSUER, START, TARGET, World, forge, opened

REQUEST = {"action": "model_access", "resource": {"type": "model", "id": "m"}}

DIGEST = f"sha256:{'7' * 64}"
OTHER_DIGEST = f"sha256:{'8' * 64}"
_MISSING = object()


def _merged(known: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**known, **changes}.items() if value is not _MISSING}


def _altered(
    world: World, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, **minted: Any
) -> str:
    own_header, own_claims = opened(world.mint(**minted)[0])
    return forge(world.signing, _merged(own_header, header or {}), _merged(own_claims, claims or {}))


def _with_detail(world: World, **changes: Any) -> str:
    _, claims = opened(world.mint()[0])
    detail = _merged(claims["authorization_details"][0], changes)
    return _altered(world, claims={"authorization_details": [detail]})


def _with_constraints(world: World, **changes: Any) -> str:
    _, claims = opened(world.mint()[0])
    return _with_detail(world, constraints=_merged(claims["authorization_details"][0]["constraints"], changes))


def test_a_capability_with_its_proof_holds_and_says_what_it_allows(world: World) -> None:
    token, minted = world.mint(one_time=True, model_digest=DIGEST, purpose="training", max_output_tokens=5)
    claims = world.verify(token, model_digest=DIGEST, subject=minted.sub)
    assert claims == minted
    assert claims.detail.constraints.purpose == "training"
    assert claims.detail.constraints.max_output_tokens == 5


@pytest.mark.parametrize(
    ("minted", "asked", "cause"),
    [
        ({}, {"action": "inference"}, "wrong_action"),
        ({}, {"resource_id": "other"}, "wrong_resource"),
        ({}, {"round_id": "r2"}, "wrong_round"),
        ({}, {"round_id": None}, "wrong_round"),
        ({"round_id": None}, {"round_id": "r1"}, "wrong_round"),
        ({"model_digest": DIGEST}, {"model_digest": OTHER_DIGEST}, "wrong_digest"),
        ({"model_digest": DIGEST}, {}, "wrong_digest"),
        ({}, {"subject": "dev-other"}, "wrong_subject"),
        ({"audience": "aggregator-2"}, {}, "wrong_audience"),
        ({}, {"digest": DIGEST}, "wrong_digest"),
        ({}, {"nonce": "n-1"}, "proof_wrong_nonce"),
        ({}, {"method": "PULL"}, "proof_wrong_target"),
        ({}, {"url": "urn:ztfm:aggregator-1:r2"}, "proof_wrong_target"),
    ],
)
def test_a_capability_for_something_else_is_refused_with_its_cause(
    world: World, minted: dict[str, Any], asked: dict[str, Any], cause: str
) -> None:
    assert world.cause(world.mint(**minted)[0], **asked) == cause


@pytest.mark.parametrize(
    ("minted", "asked"),
    [
        ({}, {"resource_id": None}),
        ({}, {"model_digest": DIGEST}),
        ({"round_id": None}, {"round_id": None}),
        ({"model_digest": DIGEST}, {"model_digest": DIGEST}),
    ],
)
def test_what_is_not_limited_or_not_asked_for_is_left_to_the_caller(
    world: World, minted: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert world.cause(world.mint(**minted)[0], **asked) == ""


def test_what_has_to_come_sealed_holds_with_the_key_that_it_names_alone(world: World) -> None:
    key, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    token, claims = world.mint(sealed_to=key, one_time=True)
    for sealed_to in (None, other, ""):
        assert world.verify(token, sealed_to=sealed_to).cause == "not_sealed"
    assert world.verify(token, sealed_to=key) == claims, "what was refused is not used up"
    plain, _ = world.mint()
    assert not isinstance(world.verify(plain, sealed_to=key), Refused), "sealed is never worse than in the clear"


def test_a_capability_for_parts_of_the_weights_holds_where_no_others_are_handed_out(world: World) -> None:
    some, claims = world.mint(shards=["adapter", "encoder"])
    for shards in ((), ["adapter"], ["encoder", "adapter"]):
        assert world.verify(some, shards=shards) == claims
    for others in (None, ["head"], ["adapter", "head"]):
        assert world.verify(some, shards=others).cause == "wrong_shards"
    none, _ = world.mint(shards=[])
    assert [getattr(world.verify(none, shards=given), "cause", "") for given in (None, ["adapter"], ())] == [
        "wrong_shards",
        "wrong_shards",
        "",
    ]
    whole, _ = world.mint()
    assert not isinstance(world.verify(whole, shards=["adapter"]), Refused)


def test_without_a_proof_of_its_key_it_does_not_hold(world: World) -> None:
    token, _ = world.mint()
    verdict = world.verifier.verify(
        token, proof=None, method="SUBMIT", url=TARGET, action="gradient_submission", round_id="r1"
    )
    assert isinstance(verdict, Refused)
    assert verdict.cause == "proof_missing"


def test_a_stolen_capability_does_not_hold_with_the_thiefs_proof(world: World) -> None:
    token, _ = world.mint()
    assert world.cause(token, world.proof(token, key=DeviceKey.generate())) == "wrong_key"


def test_a_proof_goes_with_one_capability(world: World) -> None:
    token, other = world.mint()[0], world.mint()[0]
    assert world.cause(token, world.proof(other)) == "proof_wrong_token"
    assert world.cause(token, world.proof(None)) == "proof_wrong_token"


@pytest.mark.parametrize(
    ("proof", "cause"),
    [("", "proof_malformed"), ("a.b.c", "proof_malformed")],
)
def test_a_proof_that_is_none_is_malformed(world: World, proof: str, cause: str) -> None:
    assert world.cause(world.mint()[0], proof) == cause


def test_a_forged_proof_a_stale_one_and_a_used_one_are_told_apart(world: World) -> None:
    token, _ = world.mint(ttl=300.0)
    proof = world.proof(token)
    forged = f"{proof.rpartition('.')[0]}.{world.proof(token).rpartition('.')[2]}"
    assert world.cause(token, forged) == "proof_bad_signature"
    assert world.cause(token, world.proof(token, now=START - 100)) == "proof_stale"
    assert world.cause(token, proof) == ""
    assert world.cause(token, proof) == "proof_replayed"


def test_a_one_time_capability_holds_once_whatever_proofs_come_with_it(world: World) -> None:
    token, _ = world.mint(one_time=True)
    assert [world.cause(token) for _ in range(3)] == ["", "replayed", "replayed"]


def test_a_capability_for_many_times_holds_with_new_proofs_until_it_expires(world: World) -> None:
    token, claims = world.mint()
    assert [world.cause(token) for _ in range(3)] == ["", "", ""]
    world.clock.now = claims.exp - 0.001
    assert world.cause(token) == ""
    world.clock.now = claims.exp
    assert world.cause(token) == "expired"


def test_a_one_time_capability_that_was_refused_is_not_used_up(world: World) -> None:
    token, _ = world.mint(one_time=True)
    assert world.cause(token, round_id="r2") == "wrong_round"
    assert world.cause(token, world.proof(token, method="PULL")) == "proof_wrong_target"
    assert world.cause(token) == ""


def test_points_that_share_a_memory_share_its_one_times(world: World) -> None:
    memory = ReplayCache(world.clock)
    points = [CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, memory) for _ in range(2)]
    token, _ = world.mint(one_time=True)
    verdicts = []
    for world.verifier in points:
        verdicts.append(world.cause(token))
    assert verdicts == ["", "replayed"]


def test_a_full_memory_lets_no_one_time_capability_pass(world: World) -> None:
    world.verifier = CapabilityVerifier(
        jwks([world.signing]), ISSUER, AUDIENCE, world.clock, ReplayCache(world.clock, capacity=1)
    )
    assert [world.cause(world.mint(one_time=True)[0]) for _ in range(2)] == ["", "replayed"]
    assert world.cause(world.mint()[0]) == ""


@pytest.mark.parametrize(("ahead", "cause"), [(5.0, ""), (5.01, "not_yet_valid"), (3600.0, "not_yet_valid")])
def test_an_issuer_whose_clock_is_ahead_is_borne_for_a_moment(world: World, ahead: float, cause: str) -> None:
    token, _ = world.mint()
    proof = world.proof(token, now=START)
    world.clock.now = START - ahead
    proof = world.proof(token)
    assert world.cause(token, proof) == cause


@pytest.mark.parametrize(
    ("exp", "cause"),
    [
        (START + 300, ""),
        (START + 300.001, "malformed"),
        (START + 86_400, "malformed"),
        (START, "malformed"),
        (START - 1, "malformed"),
    ],
)
def test_nothing_that_lives_longer_than_a_capability_may_is_one(world: World, exp: float, cause: str) -> None:
    assert world.cause(_altered(world, claims={"iat": START, "exp": exp})) == cause


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ({"alg": "none"}, "malformed"),
        ({"alg": "HS256"}, "malformed"),
        ({"alg": "ES384"}, "malformed"),
        ({"alg": ["ES256"]}, "malformed"),
        ({"alg": _MISSING}, "malformed"),
        ({"typ": "JWT"}, "malformed"),
        ({"typ": "dpop+jwt"}, "malformed"),
        ({"typ": "AT+JWT"}, "malformed"),
        ({"typ": _MISSING}, "malformed"),
        ({"kid": _MISSING}, "malformed"),
        ({"crit": ["exp"]}, "malformed"),
        ({"jku": "https://evil.example/jwks.json"}, "malformed"),
        ({"jwk": {"kty": "EC"}}, "malformed"),
        ({"b64": True}, "malformed"),
        ({"kid": "unknown"}, "unknown_key"),
        ({"kid": ""}, "unknown_key"),
        ({"kid": None}, "unknown_key"),
        ({"kid": 0}, "unknown_key"),
        ({"kid": ["k"]}, "unknown_key"),
        ({"kid": {}}, "unknown_key"),
    ],
)
def test_a_header_with_anything_else_is_refused(world: World, header: dict[str, Any], cause: str) -> None:
    token = _altered(world, header=header)
    assert world.cause(token) == cause


def test_a_token_whose_signature_is_left_out_or_keyed_with_the_public_key_is_refused(world: World) -> None:
    token, _ = world.mint()
    _, claims = opened(token)
    unsigned = token.rpartition(".")[0] + "."
    keyed = jwt.encode(claims, world.signing.public.x.encode(), algorithm="HS256", headers={"typ": "at+jwt"})
    none = jwt.encode(claims, "", algorithm="none", headers={"typ": "at+jwt", "kid": world.signing.kid})
    assert [world.cause(bad) for bad in (unsigned, keyed, none)] == ["malformed"] * 3


def test_a_token_signed_by_another_key_under_our_name_is_refused(world: World) -> None:
    header, claims = opened(world.mint()[0])
    assert world.cause(forge(DeviceKey.generate(), header, claims)) == "bad_signature"


def test_a_proof_is_no_capability_and_a_capability_is_no_proof(world: World) -> None:
    token, _ = world.mint()
    assert world.cause(world.proof(token)) == "malformed"
    assert world.cause(token, token) == "proof_malformed"


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"iss": "https://other.example"}, "wrong_issuer"),
        ({"iss": f"{ISSUER}/"}, "wrong_issuer"),
        ({"client_id": "dev-other"}, "wrong_subject"),
        ({"sub": "dev-other"}, "wrong_subject"),
        ({"aud": [AUDIENCE]}, "malformed"),
        ({"aud": [AUDIENCE, "other"]}, "malformed"),
        ({"aud": None}, "malformed"),
        ({"exp": str(START + 60)}, "malformed"),
        ({"exp": None}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": 10**400}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"exp": float("nan")}, "malformed"),
        ({"exp": [START + 60]}, "malformed"),
        ({"iat": True}, "malformed"),
        ({"iat": False}, "malformed"),
        ({"iat": str(START)}, "malformed"),
        ({"iat": -1}, "malformed"),
        ({"iat": float("-inf")}, "malformed"),
        ({"jti": ""}, "malformed"),
        ({"jti": 7}, "malformed"),
        ({"jti": "a b"}, "malformed"),
        ({"cnf": {}}, "malformed"),
        ({"cnf": {"jkt": "short"}}, "malformed"),
        ({"cnf": {"jkt": "A" * 43, "x5t#S256": "A" * 43}}, "malformed"),
        ({"cnf": None}, "malformed"),
        ({"cnf": {"jkt": "A" * 43}}, "wrong_key"),
        ({"authorization_details": []}, "malformed"),
        ({"authorization_details": {}}, "malformed"),
        ({"scope": "everything"}, "malformed"),
        ({"nbf": START}, "malformed"),
        ({"policy_revision": 1}, "malformed"),
        ({"policy_revision": "r" * 129}, "malformed"),
    ],
)
def test_claims_that_are_anothers_or_no_claims_are_refused(world: World, claims: dict[str, Any], cause: str) -> None:
    token = _altered(world, claims=claims)
    assert world.cause(token) == cause


@pytest.mark.parametrize("name", sorted(CapabilityClaims.model_fields))
def test_no_claim_can_be_left_out(world: World, name: str) -> None:
    assert world.cause(_altered(world, claims={name: _MISSING})) == "malformed"


def test_a_token_that_grants_two_things_is_refused(world: World) -> None:
    _, claims = opened(world.mint()[0])
    twice = claims["authorization_details"] * 2
    assert world.cause(_altered(world, claims={"authorization_details": twice})) == "malformed"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"type": "other"}, "malformed"),
        ({"action": "everything"}, "malformed"),
        ({"action": ["gradient_submission"]}, "malformed"),
        ({"actions": ["gradient_submission"]}, "malformed"),
        ({"resource_id": "*"}, "malformed"),
        ({"resource_id": _MISSING}, "malformed"),
        ({"constraints": _MISSING}, "malformed"),
        ({"constraints": None}, "malformed"),
        ({"constraints": []}, "malformed"),
    ],
)
def test_a_detail_of_another_kind_is_refused(world: World, change: dict[str, Any], cause: str) -> None:
    assert world.cause(_with_detail(world, **change)) == cause


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"max_layers": 10}, "unknown_constraint"),
        ({"colour": None}, "unknown_constraint"),
        ({"max_bytes": 0}, "malformed"),
        ({"epsilon": "1"}, "malformed"),
        ({"": 1}, "unknown_constraint"),
        ({"one_time": "yes"}, "malformed"),
        ({"one_time": 1}, "malformed"),
        ({"one_time": None}, "malformed"),
        ({"max_output_tokens": -1}, "malformed"),
        ({"max_output_tokens": 1.5}, "malformed"),
        ({"detail": "none"}, "malformed"),
        ({"purpose": ["training"]}, "malformed"),
        ({"round_id": ["r1"]}, "malformed"),
        ({"model_digest": "sha256:7"}, "malformed"),
    ],
)
def test_a_limit_that_is_not_known_or_not_understood_is_refused(
    world: World, change: dict[str, Any], cause: str
) -> None:
    assert world.cause(_with_constraints(world, **change)) == cause


def test_repeated_names_are_malformed_although_they_are_signed(world: World) -> None:
    header, claims = opened(world.mint()[0])
    raw = json.dumps(claims)
    inner = raw.replace('"round_id"', '"round_id": "r2", "round_id"').encode()
    outer = raw[:-1].encode() + b', "aud": "aggregator-1"}'
    doubled = json.dumps(header)[:-1].encode() + b', "typ": "at+jwt"}'
    assert [
        world.cause(forge(world.signing, *parts)) for parts in ((header, inner), (header, outer), (doubled, claims))
    ] == ["malformed"] * 3


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"\xff", b"{", b'{"iss":' * 3000 + b"1" + b"}" * 3000])
def test_a_payload_or_a_header_that_is_no_object_is_malformed(world: World, raw: bytes) -> None:
    header, claims = opened(world.mint()[0])
    assert world.cause(forge(world.signing, header, raw)) == "malformed"
    assert world.cause(forge(world.signing, raw, claims)) == "malformed"


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "1" + "0" * 400, "1" + "0" * 5000, "0x7f"])
def test_numbers_that_json_or_time_does_not_have_are_malformed(world: World, number: str) -> None:
    header, claims = opened(world.mint()[0])
    for name in ("iat", "exp"):
        raw = json.dumps(claims).replace(f'"{name}": {json.dumps(claims[name])}', f'"{name}": {number}')
        assert number in raw
        assert world.cause(forge(world.signing, header, raw.encode())) == "malformed"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_character_of_a_capability_can_be_changed(data: st.DataObject) -> None:
    world = World()
    token, _ = world.mint(one_time=True)
    at = data.draw(st.integers(0, len(token) - 1))
    new = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=\n +/é"))
    changed = token[:at] + new + token[at + 1 :]
    assert bool(world.cause(changed)) is (changed != token)


@settings(max_examples=100, deadline=None)
@given(st.permutations(["header", "payload", "signature"]), st.lists(st.sampled_from([0, 1]), min_size=3, max_size=3))
def test_the_parts_of_two_capabilities_do_not_mix(order: list[str], whose: list[int]) -> None:
    world = World()
    parts = [dict(zip(("header", "payload", "signature"), world.mint()[0].split("."), strict=True)) for _ in range(2)]
    mixed = ".".join(parts[side][name] for name, side in zip(order, whose, strict=True))
    is_whole = order == ["header", "payload", "signature"] and whose[1] == whose[2]
    assert (world.cause(mixed) == "") is is_whole


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*sorted(CapabilityClaims.model_fields), "extra"]), _JSON)
def test_a_claim_of_any_value_widens_nothing(name: str, value: Any) -> None:
    world = World()
    token = _altered(world, claims={name: value})
    verdict = world.verify(token)
    if isinstance(verdict, CapabilityClaims):
        # Only what says nothing about what is allowed may hold in another form.
        assert name in {"jti", "decision_id", "policy_revision"}
        assert isinstance(value, str)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.none(), st.binary(), st.integers(), st.lists(st.text())))
def test_whatever_is_no_capability_is_malformed_and_never_an_exception(anything: Any) -> None:
    world = World()
    assert world.cause(anything, "proof") == "malformed"


def test_the_issuer_inspects_those_of_every_point_and_verifies_none(world: World) -> None:
    issuer = CapabilityVerifier(jwks([world.signing]), ISSUER, None, world.clock)
    token, minted = world.mint(audience="any-point", one_time=True)
    for _ in range(2):
        assert issuer.inspect(token, action="gradient_submission", round_id="r1", subject=minted.sub) == minted
    world.verifier = issuer
    assert world.cause(token) == "wrong_audience"


def test_keys_rotate_and_what_cannot_be_used_changes_nothing(world: World) -> None:
    old, _ = world.mint()
    following = SigningKey.generate()
    world.verifier.update_keys(jwks([world.signing, following]))
    assert world.cause(old) == ""
    with pytest.raises(KeySetError):
        world.verifier.update_keys({"keys": "none"})
    assert world.cause(old) == ""
    world.verifier.update_keys(jwks([following]))
    assert world.cause(old) == "unknown_key"
    world.verifier.update_keys({"keys": []})
    assert world.cause(old) == "unknown_key"


def test_a_verifier_of_no_key_set_cannot_be_made(world: World) -> None:
    with pytest.raises(KeySetError):
        CapabilityVerifier({}, ISSUER, AUDIENCE, world.clock)


@given(st.text(max_size=200))
def test_a_verifier_is_made_for_those_audiences_alone_that_a_capability_can_be_asked_for(audience: str) -> None:
    try:
        request = CapabilityRequest.model_validate({**REQUEST, "audience": audience})
    except ValidationError:
        with pytest.raises(ValueError, match=r"audience: .* can name no enforcement point; give 1 to 128 letters"):
            CapabilityVerifier({"keys": []}, ISSUER, audience, lambda: START)
    else:
        CapabilityVerifier({"keys": []}, ISSUER, request.audience, lambda: START)


def test_an_enforcement_point_may_bring_its_own_proof_verifier(world: World) -> None:
    proofs = ProofVerifier(world.clock, max_age_seconds=1.0, leeway_seconds=0.0)
    world.verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, proofs=proofs)
    token, _ = world.mint()
    assert world.cause(token, world.proof(token, now=START - 1.0)) == "proof_stale"


def test_a_capability_that_another_library_signed_holds(world: World) -> None:
    _, claims = opened(world.mint()[0])
    private = serialization.load_pem_private_key(world.signing.to_pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    token = jwt.encode(claims, private, algorithm="ES256", headers={"typ": "at+jwt", "kid": world.signing.kid})
    whole = {**claims, "iat": int(claims["iat"]), "exp": int(claims["exp"])}
    integers = jwt.encode(whole, private, algorithm="ES256", headers={"typ": "at+jwt", "kid": world.signing.kid})
    assert [world.cause(signed) for signed in (token, integers)] == ["", ""]


def test_a_refusal_has_words_for_every_cause_and_repeats_nothing(world: World, another: Callable[[], World]) -> None:
    names = [module.name for module in pkgutil.iter_modules(capabilities.__path__)]
    modules = [importlib.import_module(f"controlplane.capabilities.{name}") for name in names]
    known = {cause for module in modules for cause in getattr(module, "_DETAILS", {})}
    # Enforcement points have words of their own for what only they can see.
    points = "".join(path.read_text() for path in Path(adapters.__file__).parent.rglob("*.py"))
    known |= set(re.findall(r'\bRefused\(\s*"(\w+)",\s*"', points))
    assert known == set(get_args(Cause))
    verdict = world.verify(another().mint()[0])
    assert isinstance(verdict, Refused)
    assert verdict.cause == "unknown_key"
    assert world.device.thumbprint not in repr(verdict)
