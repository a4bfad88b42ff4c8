"""An assertion is the enrolled key's word about its holder, for a moment. The attacks are tried at the edge too."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from controlplane.capabilities.assertions import Assertion, examine_assertion, make_assertion
from controlplane.capabilities.refusals import Refused
from controlplane.jose.keys import DeviceKey
from tests.controlplane.capabilities.conftest import ISSUER, START, forge

KEY = DeviceKey.generate()
ME = f"dev-{KEY.thumbprint}"
TOKEN_ENDPOINT = f"{ISSUER}/oauth/token"


def examined(token: str, now: float = START, key: DeviceKey = KEY) -> Assertion | Refused:
    return examine_assertion(token, key=key.public, subject=ME, audiences={ISSUER, TOKEN_ENDPOINT}, now=now)


def cause(token: str, now: float = START) -> str:
    return str(getattr(examined(token, now), "cause", ""))


def claims(**changes: Any) -> dict[str, Any]:
    stated = {"iss": ME, "sub": ME, "aud": ISSUER, "exp": START + 30, "jti": "j-1", **changes}
    return {name: value for name, value in stated.items() if value is not None}


def test_what_is_made_holds_and_names_one_use() -> None:
    first = examined(make_assertion(KEY, subject=ME, audience=ISSUER, now=START))
    second = examined(make_assertion(KEY, subject=ME, audience=ISSUER, now=START))
    assert isinstance(first, Assertion) and isinstance(second, Assertion)
    assert first.use_id != second.use_id
    assert first.expires_at == START + 30


def test_the_id_of_another_key_is_another_use() -> None:
    other = DeviceKey.generate()
    mine, theirs = forge(KEY, {"alg": "ES256"}, claims()), forge(other, {"alg": "ES256"}, claims())
    one, two = examined(mine), examined(theirs, key=other)
    assert isinstance(one, Assertion) and isinstance(two, Assertion)
    assert one.use_id != two.use_id


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "client-authentication+jwt"}, {"kid": KEY.thumbprint}])
@pytest.mark.parametrize("audience", [ISSUER, [ISSUER], TOKEN_ENDPOINT])
def test_what_the_rfcs_leave_open_is_taken(header: dict[str, str], audience: Any) -> None:
    assert cause(forge(KEY, {"alg": "ES256", **header}, claims(aud=audience, extra={"x": 1}))) == ""


@pytest.mark.parametrize(
    ("seconds", "now", "expected"),
    [
        (60.0, START, ""),
        (65.0, START, ""),
        (66.0, START, "assertion_too_long"),
        (30.0, START + 29.9, ""),
        (30.0, START + 30.0, "assertion_expired"),
        (30.0, START - 5.0, ""),
        (30.0, START - 6.0, "assertion_not_yet_valid"),
    ],
)
def test_it_holds_for_a_moment(seconds: float, now: float, expected: str) -> None:
    assert cause(make_assertion(KEY, subject=ME, audience=ISSUER, now=START, seconds=seconds), now) == expected


def test_an_independent_library_makes_one() -> None:
    header = {"alg": "ES256", "typ": "client-authentication+jwt", "kid": KEY.thumbprint}
    assert cause(jwt.encode(header, claims(), ECKey.import_key(KEY.to_pem()), algorithms=["ES256"])) == ""


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    assert cause(text) == "assertion_malformed"


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "jku", "crit"]), st.none() | st.integers() | st.text()))
def test_any_header_is_refused_or_ours(header: dict[str, Any]) -> None:
    found = examined(forge(KEY, header, claims()))
    if isinstance(found, Assertion):
        assert header["alg"] == "ES256"
        assert header.keys() <= {"alg", "typ", "kid"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(ME) | st.just(ISSUER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["iss", "sub", "aud", "exp", "jti", "iat", "nbf", "act"]), _JSON)
def test_any_claim_is_refused_or_fits(name: str, value: Any) -> None:
    found = examined(forge(KEY, {"alg": "ES256"}, {**claims(), name: value}))
    if isinstance(found, Assertion):
        good = {"iss": [ME], "sub": [ME], "aud": [ISSUER, [ISSUER]]}
        assert name not in good or value in good[name]
        assert name != "act"
