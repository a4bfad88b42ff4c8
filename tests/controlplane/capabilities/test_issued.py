"""A token opens as the kind that it is, with a published key, or not at all."""

from typing import Any

import pytest

from controlplane.capabilities.issued import header_of, open_issued
from controlplane.jose.jws import Compact
from controlplane.jose.keys import SigningKey
from tests.controlplane.capabilities.conftest import forge

KEY = SigningKey.generate()
KEYS = {KEY.kid: KEY._private.public_key()}


def found(token: str, kind: str = "at+jwt") -> str:
    opened = open_issued(token, KEYS.get, kind)
    return "" if isinstance(opened, Compact) else opened


def test_it_opens_as_what_it_is_and_as_nothing_else() -> None:
    token = KEY.sign(header_of(KEY.kid, "secevent+jwt"), b"{}")
    assert found(token, "secevent+jwt") == ""
    assert found(token) == "malformed"
    assert found(KEY.sign(header_of(KEY.kid), b"{}")) == ""


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ({"kid": "another"}, "unknown_key"),
        ({"kid": 7}, "unknown_key"),
        ({"kid": ["x"]}, "unknown_key"),
        ({"alg": "none"}, "malformed"),
        ({"alg": "HS256"}, "malformed"),
        ({"alg": ["ES256"]}, "malformed"),
        ({"typ": "JWT"}, "malformed"),
        ({"typ": {"at+jwt": 1}}, "malformed"),
        ({"jku": "https://evil.example"}, "malformed"),
        ({"crit": ["exp"]}, "malformed"),
    ],
)
def test_a_header_chooses_among_published_keys_and_nothing_more(header: dict[str, Any], cause: str) -> None:
    assert found(forge(KEY, {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid, **header}, {})) == cause


def test_another_key_s_signature_opens_nothing() -> None:
    assert found(SigningKey.generate().sign(header_of(KEY.kid), b"{}")) == "bad_signature"
    assert found("nonsense") == "malformed"
