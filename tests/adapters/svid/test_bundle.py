"""A trust bundle is read strictly: what is not known is passed over, and what is wrong spoils all of it."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from adapters.svid import BundleInvalid, TrustBundle
from adapters.svid.bundle import MAX_BUNDLE_BYTES, MAX_KEYS, MAX_REFRESH_SECONDS, MIN_REFRESH_SECONDS, REFRESH_SECONDS
from tests.adapters.svid.world import DOMAIN, World

WORLD = World()
X509, JWT = WORLD.document()["keys"]


def read(**changes: Any) -> TrustBundle:
    return TrustBundle.parse(json.dumps(WORLD.document(**changes)).encode(), DOMAIN)


def test_what_is_published_is_read() -> None:
    found = read()
    assert [one.public_bytes(Encoding.PEM).decode() for one in found.authorities] == [WORLD.authority.certificate_pem]
    assert list(found.keys) == [WORLD.signing.kid]
    assert (found.sequence, found.refresh_seconds, found.pem) == (7, 60.0, WORLD.authority.certificate_pem)


@pytest.mark.parametrize(
    "entry",
    [
        {**JWT, "use": "wit-svid"},
        {**JWT, "use": "JWT-SVID"},
        {name: value for name, value in JWT.items() if name != "use"},
        {"use": "jwt-svid", "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "b"},
        {"use": "jwt-svid", "kid": "a"},
        {name: value for name, value in X509.items() if name != "x5c"},
        {**X509, "x5c": []},
    ],
)
def test_what_is_not_known_is_passed_over(entry: dict[str, Any]) -> None:
    found = read(keys=[X509, JWT, entry])
    assert (len(found.authorities), list(found.keys)) == (1, [WORLD.signing.kid])


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": None},
        {"keys": {}},
        {"keys": ["x"]},
        {"keys": [X509] * (MAX_KEYS + 1)},
        {"keys": [JWT, JWT]},
        {"keys": [{**JWT, "kid": ""}]},
        {"keys": [{**JWT, "kid": None}]},
        {"keys": [{**JWT, "x": "A" * 43}]},
        {"keys": [{**X509, "x5c": [1]}]},
        {"keys": [{**X509, "x5c": ["AAAA"]}]},
        {"keys": [{**X509, "x5c": ["*" + X509["x5c"][0]]}]},
        {"keys": [{**X509, "x5c": ["A" * 20_000]}]},
        {"spiffe_sequence": -1},
        {"spiffe_sequence": 2**63},
        {"spiffe_sequence": 1.5},
        {"spiffe_sequence": True},
        {"spiffe_refresh_hint": "60"},
        {"spiffe_refresh_hint": -1},
    ],
)
def test_what_is_wrong_spoils_all_of_it(changes: dict[str, Any]) -> None:
    with pytest.raises(BundleInvalid):
        read(**changes)


def test_the_certificate_of_a_workload_is_no_authority() -> None:
    from base64 import b64encode

    with pytest.raises(BundleInvalid, match="sign no other"):
        read(keys=[{**X509, "x5c": [b64encode(WORLD.svid()).decode()]}])


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"\xff", b'{"keys": [], "keys": []}', b'{"keys": NaN}', b"[" * 100_000]
)
def test_what_is_no_one_object_is_refused(document: bytes) -> None:
    with pytest.raises(BundleInvalid):
        TrustBundle.parse(document, DOMAIN)
    with pytest.raises(BundleInvalid, match="bytes"):
        TrustBundle.parse(b" " * MAX_BUNDLE_BYTES + b'{"keys": []}', DOMAIN)


def test_how_often_to_look_is_bounded() -> None:
    assert read(spiffe_refresh_hint=0).refresh_seconds == MIN_REFRESH_SECONDS
    assert read(spiffe_refresh_hint=10**9).refresh_seconds == MAX_REFRESH_SECONDS
    assert TrustBundle.parse(b'{"keys": []}', DOMAIN).refresh_seconds == REFRESH_SECONDS


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_any_json_is_a_bundle_or_is_refused(value: Any) -> None:
    for document in (
        {"keys": value},
        {"keys": [value]},
        {"keys": [{**X509, "x5c": value}]},
        {"keys": [{**JWT, "x": value}]},
    ):
        try:
            TrustBundle.parse(json.dumps(document).encode(), DOMAIN)
        except BundleInvalid:
            continue
