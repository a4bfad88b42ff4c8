"""Who a peer is: X509-SVIDs and JWT-SVIDs verified against a trust bundle, as SPIFFE says. Pure, strict and bounded.

Verified is who somebody is. Whether they may do what they ask is another question.
"""

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from adapters.svid.bundle import TrustBundle
from controlplane.identifiers.spiffe import SpiffeId, SpiffeIdInvalid
from controlplane.jose.jws import Compact, is_signed_by, parse, parse_object
from controlplane.pki.faults import FAULTS

MAX_CHAIN = 8
MAX_CERTIFICATE_BYTES = 16_384
MAX_AUDIENCES = 16
MAX_AUDIENCE_CHARS = 2048

LONGEST_SECONDS = 3_600.0
"""A JWT-SVID that lives on for longer is refused: nobody can call it back."""

LEEWAY_SECONDS = 60.0
"""How far ahead of ours the clock of whoever signed may be. Nothing is accepted after its expiry."""

Cause = Literal[
    "malformed",
    "not_a_leaf",
    "no_spiffe_id",
    "other_trust_domain",
    "untrusted",
    "unexpected",
    "unknown_key",
    "bad_signature",
    "expired",
    "not_yet_valid",
    "too_long",
    "wrong_audience",
]
"""Why a document does not hold, in a word for logs and counters."""

Expected = Collection[SpiffeId] | Callable[[SpiffeId], bool]
"""Whom a peer may be: names, or what says of a name whether it is one of them. No name at all is nobody."""

_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
_TYPES = frozenset({"JWT", "JOSE"})
_EITHER_SIDE = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH})


class SvidRefused(Exception):  # noqa: N818 - a state, as callers see it
    """An identity document does not hold. Its text repeats nothing of it.

    Attributes:
        cause: why, in a word.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause


@dataclass(frozen=True)
class JwtSvid:
    """A JWT-SVID that holds.

    Attributes:
        subject: who bears it.
        audience: whom it is for, oneself among them.
        expires_at: Unix seconds.
    """

    subject: SpiffeId
    audience: tuple[str, ...]
    expires_at: float


def verify_peer(chain: Sequence[bytes], bundle: TrustBundle, expected: Expected, now: float) -> SpiffeId:
    """Return who shows a chain of certificates (X509-SVID, section 5).

    That the peer holds the key is for the TLS handshake to say.

    Args:
        chain: DER certificates, the peer's own first, then what leads to an authority of the bundle.
        bundle: of the trust domain that the peer should be of.
        expected: whom it may be.
        now: Unix seconds.

    Raises:
        SvidRefused: it is nobody who is expected, or not shown to be.
    """
    if not 1 <= len(chain) <= MAX_CHAIN or any(len(der) > MAX_CERTIFICATE_BYTES for der in chain):
        raise SvidRefused("malformed", f"a chain has 1 to {MAX_CHAIN} certificates of {MAX_CERTIFICATE_BYTES} bytes")
    try:
        leaf, *others = [x509.load_der_x509_certificate(der) for der in chain]
        name = _name_of(leaf)
    except FAULTS:
        raise SvidRefused("malformed", "the chain holds something that is no certificate") from None
    if name.domain != bundle.domain:
        raise SvidRefused("other_trust_domain", "the peer is of another trust domain than the bundle")
    _verify_path(leaf, others, bundle, now)
    if not (expected(name) if callable(expected) else name in expected):
        raise SvidRefused("unexpected", "the peer is somebody else than was expected")
    return name


def verify_jwt_svid(
    token: str,
    bundle: TrustBundle,
    audience: str,
    clock: Callable[[], float],
    *,
    longest_seconds: float = LONGEST_SECONDS,
) -> JwtSvid:
    """Return what a JWT-SVID says of its bearer (JWT-SVID, sections 2 to 4).

    It is a bearer token: whoever overhears it can show it too, and so can everybody else whom it is for.

    Args:
        token: compact JWT, with ES256.
        bundle: of the trust domain that the bearer should be of.
        audience: what the verifier calls itself.
        clock: Unix seconds.
        longest_seconds: one that lives on for longer is refused.

    Raises:
        SvidRefused: it does not hold, or is for somebody else.
    """
    parsed = parse(token)
    if parsed is None or not _is_ours(parsed.header):
        raise SvidRefused("malformed", "this is no JWT-SVID with ES256 and a kid")
    key = bundle.keys.get(parsed.header["kid"])
    if key is None:
        raise SvidRefused("unknown_key", "the key is not in the trust bundle: look for a newer one")
    if not is_signed_by(key, parsed):
        raise SvidRefused("bad_signature", "the signature does not hold")
    return _claimed(_claims(parsed), bundle, audience, clock(), longest_seconds)


def _name_of(leaf: x509.Certificate) -> SpiffeId:
    extensions = leaf.extensions
    basic = _value(extensions, x509.BasicConstraints)
    if basic is not None and basic.ca:
        raise SvidRefused("not_a_leaf", "the peer shows the certificate of an authority")
    usage = _value(extensions, x509.KeyUsage)
    if usage is None or usage.key_cert_sign or usage.crl_sign or not usage.digital_signature:
        raise SvidRefused("not_a_leaf", "the key of the peer's certificate is not there to sign handshakes alone")
    purposes = _value(extensions, x509.ExtendedKeyUsage)
    if purposes is not None and not set(purposes) >= _EITHER_SIDE:
        raise SvidRefused("not_a_leaf", "the peer's certificate is not for both sides of a connection")
    names = _value(extensions, x509.SubjectAlternativeName)
    uris = [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise SvidRefused("no_spiffe_id", "the peer's certificate has not exactly one URI")
    return _workload(uris[0])


def _value(extensions: x509.Extensions, kind: type[x509.ExtensionType]) -> Any:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _workload(text: str) -> SpiffeId:
    try:
        name = SpiffeId.parse(text)
    except SpiffeIdInvalid as error:
        raise SvidRefused("no_spiffe_id", str(error)) from None
    if not name.path:
        raise SvidRefused("no_spiffe_id", "the name is that of an authority, not of a workload")
    return name


def _verify_path(leaf: x509.Certificate, others: list[x509.Certificate], bundle: TrustBundle, now: float) -> None:
    if not bundle.authorities:
        raise SvidRefused("untrusted", "the trust bundle holds no authority")
    when = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if leaf.not_valid_after_utc < when:
        raise SvidRefused("expired", "the peer's certificate has expired")
    # The verifier of servers wants a DNS name; both sides' certificates are of one form, so that of clients serves.
    verifier = PolicyBuilder().store(Store(list(bundle.authorities))).time(when).max_chain_depth(MAX_CHAIN)
    try:
        verifier.build_client_verifier().verify(leaf, others)
    except (VerificationError, ValueError):
        raise SvidRefused("untrusted", "the certificate does not lead to an authority of the bundle now") from None


def _is_ours(header: Mapping[str, Any]) -> bool:
    return (
        header.keys() <= _HEADER_NAMES
        and header.get("alg") == "ES256"
        and isinstance(header.get("kid"), str)
        and ("typ" not in header or (isinstance(header["typ"], str) and header["typ"] in _TYPES))
    )


def _claims(parsed: Compact) -> dict[str, Any]:
    try:
        return parse_object(parsed.payload)
    except (ValueError, RecursionError):
        raise SvidRefused("malformed", "the token's claims are no JSON object") from None


def _claimed(claims: dict[str, Any], bundle: TrustBundle, audience: str, now: float, longest_seconds: float) -> JwtSvid:
    subject, expires_at = claims.get("sub"), _moment(claims, "exp")
    if not isinstance(subject, str) or expires_at is None:
        raise SvidRefused("malformed", "the token does not say whose it is, or when it expires")
    name, named = _workload(subject), _audiences(claims.get("aud"))
    if name.domain != bundle.domain:
        raise SvidRefused("other_trust_domain", "the bearer is of another trust domain than the bundle")
    if not now < expires_at:
        raise SvidRefused("expired", "the token has expired")
    if expires_at - now > longest_seconds:
        raise SvidRefused("too_long", f"the token lives on for more than {longest_seconds:g} s")
    if any((when := _moment(claims, claim)) is not None and when > now + LEEWAY_SECONDS for claim in ("iat", "nbf")):
        raise SvidRefused("not_yet_valid", "the token is from the future: compare the clocks")
    if audience not in named:
        raise SvidRefused("wrong_audience", "the token is for somebody else")
    return JwtSvid(name, named, expires_at)


def _moment(claims: dict[str, Any], claim: str) -> float | None:
    found = claims.get(claim)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e12:
        raise SvidRefused("malformed", f"the token's {claim} is no time")
    return float(found)


def _audiences(found: object) -> tuple[str, ...]:
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_AUDIENCES:
        raise SvidRefused("malformed", f"a token is for 1 to {MAX_AUDIENCES} audiences")
    if any(not isinstance(one, str) or not 1 <= len(one) <= MAX_AUDIENCE_CHARS for one in listed):
        raise SvidRefused("malformed", "an audience of the token is no text")
    return tuple(listed)
