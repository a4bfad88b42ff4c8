"""A library that is not ours, and not the one that we sign with, reads what we publish: joserfc."""

import hashlib
import zlib
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey, KeySet
from joserfc.jwt import JWTClaimsRegistry, Token

from controlplane.capabilities.statuslist import place_of, status_of
from controlplane.capabilities.statustokens import read_list, sign_list
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import DeviceKey, SigningKey, jwks
from tests.controlplane.capabilities.conftest import AUDIENCE, ISSUER, START, TARGET, World

_ONLY = ["ES256"]


def key_set(*keys: SigningKey) -> KeySet:
    """Return what we publish as joserfc reads it."""
    return KeySet.import_key_set(jwks(keys))  # type: ignore[arg-type]


def read(token: str, key: Any, kind: str) -> Token:
    """Return a token whose signature joserfc verified, of the kind that is expected."""
    found = jwt.decode(token, key, algorithms=_ONLY)
    assert found.header["typ"] == kind
    assert found.header["alg"] == "ES256"
    return found


def test_the_published_keys_are_a_key_set_and_each_is_named_by_its_thumbprint(world: World) -> None:
    second = SigningKey.generate()
    found = key_set(world.signing, second)
    assert [key.kid for key in found.keys] == [world.signing.kid, second.kid]
    for key in found.keys:
        assert isinstance(key, ECKey)
        assert key.thumbprint() == key.kid
        assert not key.is_private
        assert key.curve_name == "P-256"
        assert (key.get("use"), key.get("alg")) == ("sig", "ES256")


def test_a_capability_is_an_access_token_that_holds(world: World) -> None:
    text, claims = world.mint(one_time=True, segment="homes", max_norm=2.5, epsilon=0.5, max_bytes=1000)
    token = read(text, key_set(SigningKey.generate(), world.signing), "at+jwt")
    assert token.header["kid"] == world.signing.kid
    rules = JWTClaimsRegistry(
        now=int(START),
        iss={"essential": True, "value": ISSUER},
        sub={"essential": True, "value": f"dev-{world.device.thumbprint}"},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
        client_id={"essential": True},
    )
    rules.validate(token.claims)
    assert token.claims["cnf"] == {"jkt": world.device.thumbprint}
    [detail] = token.claims["authorization_details"]
    assert detail["constraints"] == {
        "round_id": "r1",
        "one_time": True,
        "segment": "homes",
        "max_bytes": 1000,
        "max_norm": 2.5,
        "epsilon": 0.5,
    }
    assert token.claims["status"]["status_list"]["uri"].startswith(f"{ISSUER}/")
    assert token.claims["exp"] - token.claims["iat"] == claims.exp - claims.iat


def test_it_refuses_what_we_refuse(world: World) -> None:
    text, claims = world.mint()
    with pytest.raises(JoseError):
        read(text, key_set(SigningKey.generate()), "at+jwt")
    with pytest.raises(BadSignatureError):
        read(text[:-4] + "AAAA", key_set(world.signing), "at+jwt")
    with pytest.raises(JoseError):
        JWTClaimsRegistry(now=int(claims.exp) + 1).validate(read(text, key_set(world.signing), "at+jwt").claims)


@pytest.mark.parametrize("digest", [None, f"sha256:{'5' * 64}"])
def test_a_proof_is_a_dpop_proof_by_the_key_that_it_presents(world: World, digest: str | None) -> None:
    access, claims = world.mint()
    proof = world.proof(access, digest=digest, nonce="n-1")
    presented = jws.extract_compact(proof.encode()).headers()["jwk"]
    key = ECKey.import_key(presented)
    token = read(proof, key, "dpop+jwt")
    assert not key.is_private
    assert key.thumbprint() == world.device.thumbprint == claims.cnf.jkt
    expected = {"htm": "SUBMIT", "htu": TARGET, "iat": START, "nonce": "n-1"}
    assert {name: token.claims[name] for name in expected} == expected
    assert token.claims["ath"] == encode_segment(hashlib.sha256(access.encode()).digest()).decode()
    assert token.claims.get("ztfm_digest") == digest


def test_a_status_list_is_signed_and_holds_the_bits_of_what_was_revoked(world: World) -> None:
    status = status_of(ISSUER, "dec-1", START).status_list
    text = sign_list(world.signing, ISSUER, status.uri, [status.idx], START)
    token = read(text, key_set(world.signing), "statuslist+jwt")
    assert token.claims["sub"] == status.uri
    assert token.claims["status_list"]["bits"] == 1
    bits = zlib.decompress(decode_segment(token.claims["status_list"]["lst"].encode()))
    revoked = [index for index in range(len(bits) * 8) if bits[index // 8] >> (index % 8) & 1]
    assert revoked == [status.idx] == [place_of("dec-1")]
    assert token.claims["exp"] > START


def test_what_it_signs_we_accept(world: World) -> None:
    text, _ = world.mint()
    token = read(text, key_set(world.signing), "at+jwt")
    signer = ECKey.import_key(world.signing.to_pem())
    again = jwt.encode(dict(token.header), dict(token.claims), signer, algorithms=_ONLY)
    assert world.cause(again) == ""
    holder = ECKey.import_key(world.device.to_pem())
    proof = read(world.proof(again), ECKey.import_key(world.device.public.model_dump()), "dpop+jwt")
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=_ONLY)
    theirs = jwt.encode(dict(proof.header), dict(proof.claims), holder, algorithms=_ONLY, registry=registry)
    assert world.cause(again, theirs) == ""


def test_a_status_list_that_it_signs_we_read(world: World) -> None:
    uri = status_of(ISSUER, "dec-1", START).status_list.uri
    ours = read(sign_list(world.signing, ISSUER, uri, [9], START), key_set(world.signing), "statuslist+jwt")
    theirs = jwt.encode(dict(ours.header), dict(ours.claims), ECKey.import_key(world.signing.to_pem()))
    key = world.signing._private.public_key()
    bits, _ = read_list(theirs, {world.signing.kid: key}, ISSUER, uri, START)
    assert bits[1] & 0b10


def test_its_thumbprints_are_ours() -> None:
    for _ in range(5):
        key = DeviceKey.generate()
        assert ECKey.import_key(key.public.model_dump()).thumbprint() == key.thumbprint
