"""A signed result says what it was made of, to whoever holds the issuer's key, for as long as it says."""

import json
from base64 import urlsafe_b64encode
from typing import Any, get_args

import pytest

from controlplane.attestation.resultclaims import PROFILE, ResultClaims, status_of
from controlplane.attestation.results import make_claims, read_result, release_key_digest, sign_result
from controlplane.contracts.attestation import AttestedObligation, ReleaseKey, TrustTier, TrustVector
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import SigningKey, load_public

KEY = SigningKey.generate()
KEYS = {KEY.kid: load_public(KEY.public)}
ISSUER = "https://plane.example"
NONCE = urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
RELEASE = ReleaseKey(suite="x25519", key=urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode())
VECTOR = TrustVector(instance_identity="affirming", executables="warning", hardware="affirming", storage_opaque="none")


def claims(vector: TrustVector = VECTOR, **change: Any) -> ResultClaims:
    parts: dict[str, Any] = {
        "issuer": ISSUER,
        "subject": "device-7",
        "decision_id": "d-1",
        "kind": "tpm",
        "nonce": NONCE,
        "thumbprint": KEY.thumbprint,
        "policy": "sha256:" + "ab" * 32,
        "obligation": AttestedObligation(level="hardware", reference="gateways", vector=vector),
        "issued_at": 1000.9,
        "expires_at": 1300.9,
        "release_key": RELEASE,
    }
    return make_claims(**(parts | change))


def read(token: str, at: float = 1100.0, issuer: str = ISSUER) -> ResultClaims:
    return read_result(token, KEYS, issuer, at)


def changed(payload: dict[str, Any], **header: Any) -> str:
    head = {"alg": "ES256", "kid": KEY.kid, "typ": "eat+jwt", **header}
    return KEY.sign(encode_segment(json.dumps(head).encode()), json.dumps(payload).encode())


def payload_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode_segment(token.split(".")[1].encode()))
    return found


def test_what_was_signed_is_what_is_read() -> None:
    made = claims()
    found = read(sign_result(KEY, made))
    assert found == made
    assert found.kind == "tpm" and found.appraisal.vector == VECTOR and found.appraisal.ztfm_level == "hardware"
    assert (found.iat, found.exp) == (1000, 1300)
    assert found.ztfm_release_key == release_key_digest(RELEASE)


def test_the_claims_have_the_names_and_numbers_of_the_drafts() -> None:
    found = payload_of(sign_result(KEY, claims()))
    assert found["eat_profile"] == PROFILE and found["ear_verifier_id"].keys() == {"developer", "build"}
    assert found["cnf"] == {"jkt": KEY.thumbprint} and found["eat_nonce"] == NONCE
    appraisal = found["submods"]["tpm"]
    assert appraisal["ear_status"] == "warning"
    assert appraisal["ear_trustworthiness_vector"] == {
        "instance-identity": 2,
        "executables": 32,
        "hardware": 2,
        "storage-opaque": 0,
    }
    assert appraisal["ear_appraisal_policy_ids"] == ["sha256:" + "ab" * 32]


def test_a_vector_that_says_nothing_is_left_out() -> None:
    token = sign_result(KEY, claims(TrustVector(), release_key=None))
    assert "ear_trustworthiness_vector" not in payload_of(token)["submods"]["tpm"]
    assert "ztfm_release_key" not in payload_of(token)
    assert read(token).appraisal.ear_status == "none"


@pytest.mark.parametrize(
    ("tiers", "status"),
    [
        (("affirming", "affirming"), "affirming"),
        (("affirming", None), "affirming"),
        (("affirming", "none"), "none"),
        (("none", "warning"), "warning"),
        (("contraindicated", "affirming"), "contraindicated"),
        ((None, None), "none"),
    ],
)
def test_the_status_is_that_of_the_worst_part(tiers: tuple[TrustTier | None, ...], status: TrustTier) -> None:
    assert status_of(TrustVector(hardware=tiers[0], executables=tiers[1])) == status


def test_every_tier_and_part_survives() -> None:
    for tier in get_args(TrustTier):
        vector = TrustVector(**dict.fromkeys(TrustVector.model_fields, tier))
        assert read(sign_result(KEY, claims(vector))).appraisal.vector == vector


def test_a_result_holds_in_its_time_for_its_issuer_and_under_its_key() -> None:
    token = sign_result(KEY, claims())
    for at in (996.0, 1299.9):
        read(token, at)
    for at in (994.0, 1300.0):
        with pytest.raises(ValueError, match=r"later than now|expired"):
            read(token, at)
    with pytest.raises(ValueError, match="another control plane"):
        read(token, issuer="https://other.example")
    other = SigningKey.generate()
    with pytest.raises(ValueError, match="does not publish"):
        read(sign_result(other, claims()))
    with pytest.raises(ValueError, match="signature"):
        read_result(sign_result(other, claims()), {other.kid: KEYS[KEY.kid]}, ISSUER, 1100.0)


def test_another_header_or_another_claim_is_refused() -> None:
    good = payload_of(sign_result(KEY, claims()))
    read(changed(good))
    for header in ({"typ": "at+jwt"}, {"typ": "JWT"}, {"alg": "ES384"}, {"jku": "https://evil.example"}, {"kid": 1}):
        with pytest.raises(ValueError, match=r"header|publish"):
            read(changed(good, **header))
    appraisal = good["submods"]["tpm"]
    for bad in (
        {**good, "aud": "me"},
        {**good, "eat_profile": "tag:ietf.org,2026:rats/ear#03"},
        {**good, "exp": 1300.5},
        {**good, "submods": {}},
        {**good, "submods": {"tpm": appraisal, "sgx": appraisal}},
        {**good, "submods": {"tpm": {**appraisal, "ear_status": "affirming"}}},
        {**good, "submods": {"tpm": {**appraisal, "ear_trustworthiness_vector": {"hardware": 3}}}},
        {**good, "submods": {"tpm": {**appraisal, "ear_trustworthiness_vector": {"engine": 2}}}},
        {**good, "submods": {"tpm": {**appraisal, "ear_appraisal_policy_ids": []}}},
        {name: value for name, value in good.items() if name != "cnf"},
    ):
        with pytest.raises(ValueError, match="claims"):
            read(changed(bad))


@pytest.mark.parametrize("value", [2.0, 0.0, False, True, "2", None])
def test_a_tier_is_an_integer_and_nothing_that_equals_one(value: object) -> None:
    payload = payload_of(sign_result(KEY, claims()))
    (appraisal,) = payload["submods"].values()
    appraisal["ear_trustworthiness_vector"]["storage-opaque"] = value
    with pytest.raises(ValueError, match="claims are not"):
        read(changed(payload))


def test_a_result_that_another_shows_is_not_theirs() -> None:
    token = sign_result(KEY, claims())
    theirs = read(token).cnf.jkt
    keys = {KEY.kid: KEYS[KEY.kid]}
    assert read_result(token, keys, ISSUER, 1100.0, holder=theirs).cnf.jkt == theirs
    with pytest.raises(ValueError, match="another key"):
        read_result(token, keys, ISSUER, 1100.0, holder="A" * 43)


def test_nothing_holds_at_a_time_that_is_none() -> None:
    with pytest.raises(ValueError, match="clocks"):
        read(sign_result(KEY, claims()), at=float("nan"))


def test_no_bit_of_a_result_may_change() -> None:
    token = sign_result(KEY, claims()).encode()
    for place in range(0, len(token) * 8, 7):
        flipped = bytearray(token)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"."):
            read(flipped.decode("latin-1"))


def test_the_digest_of_a_release_key_tells_suites_and_keys_apart() -> None:
    other = ReleaseKey(suite="mlkem768-x25519", key=RELEASE.key)
    assert release_key_digest(other) != release_key_digest(RELEASE)
    with pytest.raises(ValueError, match=r"."):
        release_key_digest(ReleaseKey(suite="x25519", key=RELEASE.key[:-1] + "_"))
