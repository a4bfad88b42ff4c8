"""Who a peer is: what SPIFFE allows is verified, and what a thief would show is refused, each for its own reason."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.svid import SpiffeId, SvidRefused, TrustBundle, TrustDomain, verify_jwt_svid, verify_peer
from adapters.svid.verifying import LEEWAY_SECONDS, LONGEST_SECONDS, MAX_CHAIN, Expected
from controlplane.capabilities.jwtsvids import JwtSvids
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import SigningKey
from tests.adapters.svid.world import DOMAIN, NOW, ONE, OTHER, World, usage

WORLD = World()
SHOWN = WORLD.svid()


def refusal(
    chain: list[bytes], expected: Expected = frozenset({ONE}), bundle: TrustBundle | None = None, now: float = NOW
) -> str:
    with pytest.raises(SvidRefused) as refused:
        verify_peer(chain, bundle or WORLD.bundle, expected, now)
    return refused.value.cause


def jwt_refusal(token: Any, bundle: TrustBundle | None = None, audience: str = "reports", now: float = NOW) -> str:
    with pytest.raises(SvidRefused) as refused:
        verify_jwt_svid(token, bundle or WORLD.bundle, audience, lambda: now)
    return refused.value.cause


def test_a_workload_is_who_its_certificate_says_for_its_whole_life_and_no_longer() -> None:
    shown = WORLD.svid(lifetime=600.0)
    for when in (NOW - 200, NOW, NOW + 599):
        assert verify_peer([shown], WORLD.bundle, {ONE, OTHER}, when) == ONE
    assert refusal([shown], now=NOW + 601) == "expired"
    assert refusal([shown], now=NOW - 301) == "untrusted"


def test_it_is_one_of_those_who_are_expected_or_nobody() -> None:
    shown = WORLD.svid()
    assert verify_peer([shown], WORLD.bundle, lambda name: name.path.startswith("/device/"), NOW) == ONE
    nobody: list[Expected] = [{OTHER}, set(), lambda name: name.domain != DOMAIN]
    for expected in nobody:
        assert refusal([shown], expected) == "unexpected"


def test_who_signed_it_is_an_authority_of_this_trust_domain() -> None:
    thief = World(authority=CertificateAuthority.create(DOMAIN, NOW))
    assert refusal([thief.svid()]) == "untrusted"
    assert refusal([thief.svid(), thief.authority.certificate.public_bytes(Encoding.DER)]) == "untrusted"
    elsewhere = SpiffeId.of(TrustDomain("other.example"), "device", "dev-1")
    assert refusal([WORLD.svid(elsewhere)], {elsewhere}) == "other_trust_domain"
    empty = TrustBundle.parse(b'{"keys": []}', DOMAIN)
    assert refusal([WORLD.svid()], bundle=empty) == "untrusted"


def test_a_workload_signs_for_nobody_else() -> None:
    own = CertificateAuthority(WORLD.key, WORLD.authority.issue_svid(ONE, WORLD.key.public_key(), NOW))
    forged = own.issue_svid(OTHER, WORLD.key.public_key(), NOW).public_bytes(Encoding.DER)
    assert refusal([forged, WORLD.svid()], {OTHER}) == "untrusted"


def test_the_helper_makes_an_svid_unless_it_is_told_otherwise() -> None:
    assert verify_peer([WORLD.odd()], WORLD.bundle, {ONE}, NOW) == ONE
    assert verify_peer([WORLD.odd(dns=["reports.example"])], WORLD.bundle, {ONE}, NOW) == ONE


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"uris": [str(ONE), str(OTHER)]}, "no_spiffe_id"),
        ({"uris": [str(ONE), "https://reports.example"]}, "no_spiffe_id"),
        ({"uris": [], "dns": ["dev-1"]}, "no_spiffe_id"),
        ({"uris": []}, "no_spiffe_id"),
        ({"uris": ["urn:ztfm:subject:dev-1"]}, "no_spiffe_id"),
        ({"uris": ["spiffe://homes.example"]}, "no_spiffe_id"),
        ({"uris": ["spiffe://homes.example/"]}, "no_spiffe_id"),
        ({"uris": ["spiffe://Homes.example/device/dev-1"]}, "no_spiffe_id"),
        ({"uris": ["spiffe://homes.example/device/../device/dev-1"]}, "no_spiffe_id"),
        ({"uris": ["spiffe://homes.example/device/dev%2D1"]}, "no_spiffe_id"),
        ({"ca": True}, "not_a_leaf"),
        ({"key_usage": usage(key_cert_sign=True)}, "not_a_leaf"),
        ({"key_usage": usage(crl_sign=True)}, "not_a_leaf"),
        ({"key_usage": usage(digital_signature=False, key_agreement=True)}, "not_a_leaf"),
        ({"purposes": [ExtendedKeyUsageOID.SERVER_AUTH]}, "not_a_leaf"),
        ({"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "not_a_leaf"),
    ],
)
def test_what_our_authority_signed_and_is_no_x509_svid_is_refused(changed: dict[str, Any], cause: str) -> None:
    assert refusal([WORLD.odd(**changed)], lambda _: True) == cause


def test_the_authority_itself_and_its_servers_are_no_workloads() -> None:
    assert refusal([WORLD.authority.certificate.public_bytes(Encoding.DER)], lambda _: True) == "not_a_leaf"
    server = WORLD.authority.issue_server(["127.0.0.1"], WORLD.key.public_key(), NOW).public_bytes(Encoding.DER)
    assert refusal([server], lambda _: True) == "not_a_leaf"


def test_a_chain_is_bounded_and_made_of_certificates() -> None:
    shown = WORLD.svid()
    for chain in ([], [shown] * (MAX_CHAIN + 1), [b"x" * 20_000], [b""], [b"\x30\x82\xff\xff"], [shown, b"x"]):
        assert refusal(chain) == "malformed"


NAMED = SHOWN.index(b"spiffe://") - 2
"""Where the kind of its name stands."""


@given(st.integers(0, len(SHOWN) - 1), st.integers(1, 255))
@example(NAMED, 35)
@example(NAMED, 37)
def test_no_changed_byte_makes_anybody_of_a_peer(at: int, flipped: int) -> None:
    shown = bytearray(SHOWN)
    shown[at] ^= flipped
    with pytest.raises(SvidRefused):
        verify_peer([bytes(shown)], WORLD.bundle, lambda _: True, NOW)


def test_a_token_says_who_bears_it_and_to_whom() -> None:
    minted, claims = JwtSvids(lambda: WORLD.signing, lambda: NOW).mint(ONE, ["reports", "reports"], 60.0)
    found = verify_jwt_svid(minted, WORLD.bundle, "reports", lambda: NOW)
    assert (found.subject, found.audience, found.expires_at) == (ONE, ("reports",), NOW + 60)
    assert claims.jti != JwtSvids(lambda: WORLD.signing, lambda: NOW).mint(ONE, ["reports"], 60.0)[1].jti


@pytest.mark.parametrize("lifetime", [0.0, -1.0, 300.5, float("nan"), float("inf")])
def test_none_is_minted_for_longer_than_five_minutes(lifetime: float) -> None:
    with pytest.raises(ValueError):
        JwtSvids(lambda: WORLD.signing, lambda: NOW).mint(ONE, ["reports"], lifetime)
    with pytest.raises(ValueError):
        JwtSvids(lambda: WORLD.signing, lambda: NOW).mint(SpiffeId(DOMAIN), ["reports"], 60.0)


@pytest.mark.parametrize("kind", ["JWT", "JOSE", None])
def test_what_the_specification_allows_is_taken(kind: str | None) -> None:
    token = WORLD.token(header={"typ": kind}, aud="reports", iat=None, private=True)
    assert verify_jwt_svid(token, WORLD.bundle, "reports", lambda: NOW).subject == ONE


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ({"typ": "at+jwt"}, "malformed"),
        ({"typ": "jwt"}, "malformed"),
        ({"typ": ["JWT"]}, "malformed"),
        ({"alg": "none"}, "malformed"),
        ({"alg": "HS256"}, "malformed"),
        ({"alg": None}, "malformed"),
        ({"kid": None}, "malformed"),
        ({"kid": 1}, "malformed"),
        ({"kid": "elsewhere"}, "unknown_key"),
        ({"jwk": {}}, "malformed"),
        ({"jku": "https://evil.example"}, "malformed"),
        ({"crit": ["exp"]}, "malformed"),
    ],
)
def test_a_header_that_a_jwt_svid_does_not_have_is_refused(header: dict[str, Any], cause: str) -> None:
    assert jwt_refusal(WORLD.token(header=header)) == cause


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"sub": None}, "malformed"),
        ({"sub": 1}, "malformed"),
        ({"sub": "dev-1"}, "no_spiffe_id"),
        ({"sub": "spiffe://homes.example"}, "no_spiffe_id"),
        ({"sub": "spiffe://other.example/device/dev-1"}, "other_trust_domain"),
        ({"exp": None}, "malformed"),
        ({"exp": str(int(NOW) + 60)}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": 1e300}, "malformed"),
        ({"exp": int(NOW)}, "expired"),
        ({"exp": int(NOW + LONGEST_SECONDS) + 1}, "too_long"),
        ({"iat": int(NOW + LEEWAY_SECONDS) + 1}, "not_yet_valid"),
        ({"nbf": int(NOW + LEEWAY_SECONDS) + 1}, "not_yet_valid"),
        ({"aud": None}, "malformed"),
        ({"aud": []}, "malformed"),
        ({"aud": [1]}, "malformed"),
        ({"aud": {"reports": True}}, "malformed"),
        ({"aud": ["reports"] * 17}, "malformed"),
        ({"aud": ["report", "reports2", "REPORTS"]}, "wrong_audience"),
        ({"aud": "reports/1"}, "wrong_audience"),
    ],
)
def test_a_claim_that_does_not_hold_is_refused(claims: dict[str, Any], cause: str) -> None:
    assert jwt_refusal(WORLD.token(**claims)) == cause


def test_who_signed_a_token_is_of_the_trust_bundle() -> None:
    thief = SigningKey.generate()
    assert jwt_refusal(WORLD.token(key=thief)) == "bad_signature"
    assert jwt_refusal(WORLD.token(key=thief, header={"kid": thief.kid})) == "unknown_key"
    elsewhere = TrustBundle(TrustDomain("other.example"), WORLD.bundle.authorities, WORLD.bundle.keys)
    assert jwt_refusal(WORLD.token(), elsewhere) == "other_trust_domain"
    empty = TrustBundle.parse(b'{"keys": []}', DOMAIN)
    assert jwt_refusal(WORLD.token(), empty) == "unknown_key"


def test_what_is_no_token_is_refused() -> None:
    good = WORLD.token()
    tampered: list[Callable[[str], Any]] = [
        lambda _: "",
        lambda _: None,
        lambda token: token + "=",
        lambda token: token.replace(".", "..", 1),
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: "a" * 9_000 + token,
    ]
    for change in tampered:
        assert jwt_refusal(change(good)) == "malformed"


def test_a_refusal_repeats_nothing_of_what_was_shown() -> None:
    with pytest.raises(SvidRefused) as refused:
        verify_jwt_svid(WORLD.token(sub="spiffe://homes.example/se cret"), WORLD.bundle, "reports", lambda: NOW)
    assert "cret" not in str(refused.value)
