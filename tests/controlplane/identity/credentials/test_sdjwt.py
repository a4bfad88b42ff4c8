"""A credential holds when its issuer signed it, for this key, and this key presents it here and now."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.facts.enrolment import CredentialCause
from controlplane.contracts.identity import MAX_CREDENTIAL_CHARS
from controlplane.identity.credentials.sdjwt import (
    BINDING_SECONDS,
    CAUSES,
    LEEWAY_SECONDS,
    CredentialInvalid,
    check_times,
    read_presentation,
    sd_hash,
    verify_binding,
    verify_issued,
)
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.credentials import vectors
from tests.controlplane.identity.credentials.world import (
    DEVICE,
    HERE,
    ISSUER,
    NOW,
    accepted,
    issued,
    parts,
    presented,
    signed,
)

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def refused(presentation: str, **options: Any) -> CredentialCause:
    with pytest.raises(CredentialInvalid) as caught:
        accepted(presentation, **options)
    return caught.value.cause


def test_the_credential_of_the_rfc_holds_and_says_what_the_rfc_prints() -> None:
    read = read_presentation(vectors.A3)
    found = verify_issued(read, [vectors.ISSUER])
    assert found.claims == {
        "iss": "https://pid-issuer.bund.de.example",
        "iat": 1683000000,
        "exp": 1883000000,
        "vct": "urn:eudi:pid:de:1",
        "cnf": {"jwk": vectors.HOLDER.model_dump()},
        "age_equal_or_over": {"18": True},
        "nationalities": ["DE"],
    }
    check_times(found, vectors.BOUND_AT)
    verify_binding(read, found, vectors.HOLDER, {vectors.AUDIENCE}, vectors.BOUND_AT)


def test_a_credential_of_another_issuer_in_the_same_words_holds() -> None:
    found, binding = accepted(presented(issued(disclosable={"serial": "0042"})))
    assert (found.claims["model"], found.claims["serial"]) == ("hub-3", "0042")
    assert binding.until == NOW + BINDING_SECONDS + LEEWAY_SECONDS


def test_what_is_not_shown_is_not_known() -> None:
    jwt, disclosure, _ = issued(disclosable={"serial": "0042"}).split("~")
    assert "serial" not in accepted(presented(f"{jwt}~"))[0].claims
    assert disclosure


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text.replace("~", "", 1),
        lambda text: text.replace("~", "~~", 1),
        lambda text: text.partition("~")[0],
        lambda text: "~" + text,
        lambda text: text.replace(".", "..", 1),
        lambda text: "é" + text,
        lambda text: text + "a" * MAX_CREDENTIAL_CHARS,
        lambda text: text.replace(".", "=.", 1),
    ],
)
def test_what_is_no_presentation_is_none(change: Any) -> None:
    assert refused(change(presented(issued()))) == "malformed"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "vc+sd-jwt"},
        {"typ": "JWT"},
        {"typ": None},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"crit": ["x"]},
        {"x5c": ["MII"]},
        {"jwk": ISSUER.model_dump()},
        {"jku": "https://attacker.example"},
    ],
)
def test_a_credential_has_one_kind_of_header(header: dict[str, Any]) -> None:
    was, claims = parts(issued().partition("~")[0])
    assert refused(presented(signed({**was, **header}, claims) + "~")) == "wrong_type"


def test_a_credential_may_name_its_key() -> None:
    was, claims = parts(issued().partition("~")[0])
    accepted(presented(signed({**was, "kid": "key-1"}, claims) + "~"))


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"iss": None}, "issuer_unnamed"),
        ({"iss": ["did:key:z"]}, "issuer_unnamed"),
        ({"iss": ""}, "issuer_unnamed"),
        ({"iss": "did:web:é"}, "issuer_unnamed"),
        ({"iss": "x" * 257}, "issuer_unnamed"),
        ({"vct": None}, "vct_missing"),
        ({"vct": 1}, "vct_missing"),
        ({"vct": ""}, "vct_missing"),
        ({"exp": "tomorrow"}, "times_malformed"),
        ({"exp": True}, "times_malformed"),
        ({"exp": None}, "times_malformed"),
        ({"iat": -1}, "times_malformed"),
        ({"nbf": 10**400}, "times_malformed"),
        ({"exp": NOW}, "expired"),
        ({"exp": 0}, "expired"),
        ({"iat": NOW + 6}, "not_yet_valid"),
        ({"nbf": NOW + 6}, "not_yet_valid"),
        ({"cnf": None}, "not_bound"),
        ({"cnf": {}}, "not_bound"),
        ({"cnf": {"kid": "x"}}, "not_bound"),
        ({"cnf": {"jwk": DEVICE.public.model_dump(), "kid": "x"}}, "not_bound"),
        ({"cnf": {"jwk": {**DEVICE.public.model_dump(), "crv": "P-384"}}}, "not_bound"),
        ({"cnf": {"jwk": {**DEVICE.public.model_dump(), "d": "x"}}}, "not_bound"),
        ({"cnf": {"jwk": DeviceKey.generate().public.model_dump()}}, "wrong_key"),
        ({"_sd": ["x"], "_sd_alg": "md5"}, "bad_disclosure"),
    ],
)
def test_what_an_issuer_signs_is_looked_at_all_the_same(more: dict[str, Any], cause: str) -> None:
    header, claims = parts(issued().partition("~")[0])
    assert refused(presented(signed(header, {**claims, **more}) + "~")) == cause


@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "cnf", "vct", "status"])
def test_what_must_be_in_the_open_is_never_disclosed_selectively(name: str) -> None:
    header, claims = parts(issued().partition("~")[0])
    jwt, disclosure, _ = issued(disclosable={name: claims.get(name, NOW)}).split("~")
    header, hidden = parts(jwt)
    hidden.pop(name, None)
    assert refused(presented(f"{signed(header, hidden)}~{disclosure}~")) in ("bad_disclosure", "issuer_unnamed")


def test_a_disclosure_that_the_issuer_did_not_sign_is_refused() -> None:
    jwt, disclosure, _ = issued(disclosable={"serial": "0042"}).split("~")
    forged = encode_segment(b'["salt", "serial", "0043"]').decode()
    assert refused(presented(f"{jwt}~{forged}~")) == "bad_disclosure"
    assert refused(presented(f"{jwt}~{disclosure}~{disclosure}~")) == "bad_disclosure"


def test_nobody_signs_for_an_issuer() -> None:
    header, claims = parts(issued().partition("~")[0])
    assert refused(presented(signed(header, claims, DeviceKey.generate()) + "~")) == "bad_signature"
    with pytest.raises(CredentialInvalid, match="bad_signature"):
        verify_issued(read_presentation(presented(issued())), [])


def test_any_of_an_issuers_keys_will_do_and_only_eight_are_tried() -> None:
    read, other = read_presentation(presented(issued())), DeviceKey.generate().public
    assert verify_issued(read, [other] * 7 + [ISSUER])
    with pytest.raises(CredentialInvalid, match="bad_signature"):
        verify_issued(read, [other] * 8 + [ISSUER])


def test_a_credential_is_worth_nothing_without_its_key() -> None:
    assert refused(presented(issued()), device=DeviceKey.generate()) == "wrong_key"
    assert refused(presented(issued(), key=DeviceKey.generate())) == "binding_bad_signature"
    assert refused(issued()) == "binding_missing"


@pytest.mark.parametrize(
    ("header", "claims", "cause"),
    [
        ({"typ": "JWT"}, {}, "binding_malformed"),
        ({"alg": "none"}, {}, "binding_malformed"),
        ({"jwk": DEVICE.public.model_dump()}, {}, "binding_malformed"),
        ({}, {"nonce": None}, "binding_malformed"),
        ({}, {"nonce": ""}, "binding_malformed"),
        ({}, {"sd_hash": None}, "binding_malformed"),
        ({}, {"iat": None}, "binding_malformed"),
        ({}, {"iat": True}, "binding_malformed"),
        ({}, {"aud": None}, "binding_wrong_audience"),
        ({}, {"aud": [HERE]}, "binding_wrong_audience"),
        ({}, {"aud": HERE + "/"}, "binding_wrong_audience"),
        ({}, {"iat": NOW - BINDING_SECONDS - LEEWAY_SECONDS}, "binding_stale"),
        ({}, {"iat": NOW + LEEWAY_SECONDS + 1}, "binding_stale"),
        ({}, {"sd_hash": "A" * 43}, "binding_other_credential"),
    ],
)
def test_a_binding_says_to_whom_when_and_what(header: dict[str, Any], claims: dict[str, Any], cause: str) -> None:
    credential = issued()
    was, said = parts(presented(credential).rpartition("~")[2])
    assert refused(credential + signed({**was, **header}, {**said, **claims}, DEVICE)) == cause


def test_a_binding_is_of_what_is_disclosed() -> None:
    credential = issued(disclosable={"serial": "0042"})
    jwt, _, binding = presented(credential).split("~")
    assert refused(f"{jwt}~{binding}") == "binding_other_credential"


def test_a_second_signature_of_one_binding_is_the_same_use() -> None:
    whole = presented(issued())
    signed_part, _, signature = whole.rpartition(".")
    raw = decode_segment(signature.encode())
    s = ORDER - int.from_bytes(raw[32:], "big")
    twin = f"{signed_part}.{encode_segment(raw[:32] + s.to_bytes(32, 'big')).decode()}"
    assert twin != whole
    assert accepted(twin)[1] == accepted(whole)[1]
    assert accepted(presented(issued()))[1].use_id != accepted(whole)[1].use_id


WHOLE = presented(issued(disclosable={"serial": "0042"}))


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_no_bit_of_a_presentation_can_be_another(bit: int) -> None:
    raw = bytearray(WHOLE.encode())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CredentialInvalid):
        accepted(raw.decode("latin-1"))


@given(st.text(alphabet="eyJ0~.-_AaZz9", max_size=200))
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    with pytest.raises(CredentialInvalid):
        accepted(text)


def test_the_hash_is_over_all_but_the_binding() -> None:
    assert sd_hash(WHOLE[: WHOLE.rindex("~") + 1]) == parts(WHOLE.rpartition("~")[2])[1]["sd_hash"]


def test_every_cause_has_its_words() -> None:
    assert set(CAUSES) == set(get_args(CredentialCause))
