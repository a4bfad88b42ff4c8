"""What a person's token must be, and what attackers make of it (RFC 8725)."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey

from controlplane.contracts.identity import Person
from controlplane.identity.people import (
    MAX_TOKEN_CHARS,
    Expected,
    Unknown,
    key_of,
    person_id,
    read_person,
    read_provider_keys,
    texts,
)
from tests.controlplane.identity.issuer import AUDIENCE, Issuer, ec_key, okp_key, rsa_key

# joserfc calls the name EdDSA deprecated (RFC 9864); providers use it.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

ISSUER = Issuer(url="https://login.example.org")
KEYS = read_provider_keys(ISSUER.published())
EXPECTED = Expected(ISSUER.url, AUDIENCE, {AUDIENCE, "console"}, ("groups", "realm_access.roles", "https://x/roles"))


def read(token: str, keys: Any = KEYS, now: float | None = None) -> Person | Unknown:
    named = key_of(token)
    if isinstance(named, Unknown):
        return named
    key = keys.get(named)
    return (
        read_person(token, key, EXPECTED, time.time() if now is None else now) if key else Unknown("person_unknown_key")
    )


def cause(token: str, **options: Any) -> str:
    found = read(token, **options)
    return found.cause if isinstance(found, Unknown) else ""


@pytest.mark.parametrize("key", ISSUER.keys, ids=lambda key: key.kid)
def test_a_token_of_each_kind_of_key_names_a_person(key: Any) -> None:
    found = read(ISSUER.token(key))
    assert isinstance(found, Person)
    assert found.id == person_id(ISSUER.url, "248289761001")
    assert found.claims == {"sub": ["248289761001"], "groups": ["federation-operators"]}
    assert found.issuer == ISSUER.url


def test_the_name_follows_from_issuer_and_subject_and_shows_neither() -> None:
    assert person_id("https://a", "b") != person_id("https://a", "c")
    assert person_id("https://a", "b") != person_id("https://ab", "")
    assert "alice" not in person_id("https://a", "alice")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": "https://evil.example"}, "person_wrong_issuer"),
        ({"iss": "https://login.example.org/"}, "person_wrong_issuer"),
        ({"iss": None}, "person_wrong_issuer"),
        ({"iss": ["https://login.example.org"]}, "person_wrong_issuer"),
        ({"aud": "another"}, "person_wrong_audience"),
        ({"aud": None}, "person_wrong_audience"),
        ({"aud": {"ztfm": True}}, "person_wrong_audience"),
        ({"aud": ["another"]}, "person_wrong_audience"),
        ({"aud": ["ztfm", "another"]}, "person_wrong_client"),
        ({"azp": "evil"}, "person_wrong_client"),
        ({"azp": ["ztfm"]}, "person_wrong_client"),
        ({"exp": None}, "person_malformed"),
        ({"exp": "9999999999"}, "person_malformed"),
        ({"exp": True}, "person_malformed"),
        ({"iat": None}, "person_malformed"),
        ({"exp": 9_999_999_999}, "person_malformed"),
        ({"iat": 0, "exp": 1000}, "person_expired"),
        ({"nbf": int(time.time()) + 3600}, "person_not_yet_valid"),
        ({"nbf": "x"}, "person_malformed"),
        ({"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3700}, "person_not_yet_valid"),
        ({"sub": None}, "person_malformed"),
        ({"sub": ""}, "person_malformed"),
        ({"sub": ["alice"]}, "person_malformed"),
        ({"sub": "x" * 300}, "person_malformed"),
        ({"groups": [str(number) for number in range(300)]}, "person_too_many_claims"),
        ({"groups": ["x" * 300]}, "person_too_many_claims"),
    ],
)
def test_a_token_that_says_something_else_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert cause(ISSUER.token(**changes)) == expected


@pytest.mark.parametrize(
    "changes", [{"azp": "console"}, {"aud": ["ztfm", "other"], "azp": "ztfm"}, {"aud": ["ztfm"]}, {"nbf": 1}]
)
def test_what_may_differ_may_differ(changes: dict[str, Any]) -> None:
    assert cause(ISSUER.token(**changes)) == ""


def test_it_ends_when_it_says() -> None:
    token = ISSUER.token(iat=1000, exp=1300)
    assert cause(token, now=1299.9) == ""
    assert cause(token, now=1300.0) == "person_expired"
    assert cause(token, now=990.0) == "person_not_yet_valid"


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", None, 0, ["RS256"], "HS256", "RS384", "PS256", "ES384"])
def test_no_other_algorithm_is_taken(name: Any) -> None:
    for kid in KEYS:
        token = f"{encoded({'alg': name, 'kid': kid})}.{encoded(ISSUER.claims())}."
        assert cause(token) in ("person_wrong_algorithm", "person_malformed")
        assert cause(token + "AAAA") in ("person_wrong_algorithm", "person_malformed")


def test_a_public_key_is_no_secret_of_an_hmac() -> None:
    """Algorithm confusion: the attacker signs with what everybody may read (RFC 8725 section 2.1)."""
    public = ISSUER.keys[0].as_pem(private=False)
    signed = f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(ISSUER.claims())}"
    mac = hmac.new(public, signed.encode(), "sha256").digest()
    assert cause(f"{signed}.{encoded(mac)}") == "person_wrong_algorithm"


def test_a_key_serves_its_own_algorithm_alone() -> None:
    for named in ISSUER.keys:
        for signing in ISSUER.keys:
            if signing is not named:
                assert cause(ISSUER.token(signing, {"kid": named.kid})) in (
                    "person_wrong_algorithm",
                    "person_bad_signature",
                )


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": ec_key("evil").as_dict(private=False)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/chain"},
        {"x5c": ["AAAA"]},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_what_a_header_brings_along_is_not_used(extra: dict[str, Any]) -> None:
    forged = ec_key("ec-1")
    header = encoded({"alg": "ES256", "kid": "ec-1", **extra})
    signed = jws.serialize_compact({"alg": "ES256", "kid": "ec-1"}, json.dumps(ISSUER.claims()), forged)
    assert cause(ISSUER.token(forged, {"kid": "ec-1"})) == "person_bad_signature"
    assert cause(".".join([header, *signed.split(".")[1:]])) == "person_bad_signature"


@pytest.mark.parametrize("kid", ["", "../../etc/passwd", "' OR 1=1 --", "rsa-1\u0000", None, 7, ["rsa-1"], "x" * 5000])
def test_a_key_that_is_not_published_is_unknown(kid: Any) -> None:
    token = f"{encoded({'alg': 'RS256', 'kid': kid})}.{encoded(ISSUER.claims())}.AAAA"
    assert cause(token) in ("person_unknown_key", "person_malformed")


def test_a_critical_extension_and_another_type_are_refused() -> None:
    for header in ({"crit": ["exp"], "exp": 1}, {"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"typ": 7}):
        token = f"{encoded({'alg': 'RS256', 'kid': 'rsa-1', **header})}.{encoded(ISSUER.claims())}.AAAA"
        assert cause(token) == "person_malformed"


def test_a_token_that_was_changed_is_refused() -> None:
    header, payload, signature = ISSUER.token().split(".")
    wider = encoded({**ISSUER.claims(), "groups": ["federation-administrators"]})
    assert cause(f"{header}.{wider}.{signature}") == "person_bad_signature"
    for cut in (signature[:-8], signature[:4], "", "?"):
        assert cause(f"{header}.{payload}.{cut}") in ("person_bad_signature", "person_malformed")


def test_a_repeated_name_is_refused() -> None:
    body = json.dumps(ISSUER.claims())[:-1] + ', "groups": ["federation-administrators"]}'
    signed = jws.serialize_compact({"alg": "RS256", "kid": "rsa-1"}, body, ISSUER.keys[0])
    assert cause(signed) == "person_malformed"


@pytest.mark.parametrize("body", ["[]", "null", "1", "", "{", "\ufffd", '{"exp": NaN}', "[" * 5000])
def test_a_payload_that_is_no_object_is_refused(body: str) -> None:
    signed = jws.serialize_compact({"alg": "RS256", "kid": "rsa-1"}, body, ISSUER.keys[0])
    assert cause(signed) == "person_malformed"


def test_what_is_too_long_is_not_read() -> None:
    assert cause(ISSUER.token(padding="x" * MAX_TOKEN_CHARS)) == "person_malformed"


@given(st.text(max_size=200))
def test_any_text_is_refused_without_a_fault(text: str) -> None:
    assert cause(text) != ""


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_any_three_parts_are_refused_without_a_fault(parts: list[bytes]) -> None:
    assert cause(".".join(encoded(part) for part in parts)) != ""


@pytest.mark.filterwarnings("ignore:Key size")
def test_weak_foreign_and_secret_keys_are_passed_over() -> None:
    small = rsa_key("small", 1024).as_dict(private=False)
    secret = ec_key("secret").as_dict(private=True)
    shared = {**OctKey.generate_key(256).as_dict(private=True), "kid": "shared"}
    encrypting = {**rsa_key("enc").as_dict(private=False), "use": "enc"}
    other = {**rsa_key("other").as_dict(private=False), "alg": "RS512"}
    broken = {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "broken"}
    curve = {**okp_key("curve").as_dict(private=False), "crv": "Ed448"}
    odd = [None, 7, {"kid": "x"}, {"kty": ["RSA"], "kid": "y"}, {"kty": "EC", "crv": ["P-256"], "kid": "z"}]
    found = read_provider_keys({"keys": [small, secret, shared, encrypting, other, broken, curve, *odd]})
    assert found == {}


def test_a_key_set_that_is_none_is_a_fault() -> None:
    for document in (None, [], {}, {"keys": {}}, {"keys": [{}] * 65}):
        with pytest.raises(ValueError):
            read_provider_keys(document)
    twice = ec_key("same").as_dict(private=False)
    with pytest.raises(ValueError, match="share"):
        read_provider_keys({"keys": [twice, twice]})


def test_a_claim_may_lie_within_an_object() -> None:
    claims = {"realm_access": {"roles": ["a", 1, None, "b"]}, "https://x/roles": "c", "a.b": ["d"], "a": {"b": ["e"]}}
    assert texts(claims, "realm_access.roles") == ["a", "b"]
    assert texts(claims, "https://x/roles") == ["c"]
    assert texts(claims, "a.b") == ["d"]
    for name in ("nobody", "realm_access.roles.x", "realm_access", ""):
        assert texts(claims, name) == []
