"""What became of evidence, signed: an EAT Attestation Result as a JWT (draft-ietf-rats-ear-04, RFC 9711), ES256."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import ValidationError

from controlplane.attestation.resultclaims import (
    PROFILE,
    Appraisal,
    Confirmation,
    ResultClaims,
    Verifier,
    numbered,
    status_of,
)
from controlplane.contracts.attestation import AttestedObligation, ReleaseKey
from controlplane.jose.jws import decode_segment, encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import SigningKey

TYPE = "eat+jwt"
"""RFC 9782."""

LEEWAY_SECONDS = 5
"""How much earlier than it was issued a result may be read, where clocks differ."""

_HEADER_NAMES = frozenset({"typ", "alg", "kid"})


def release_key_digest(key: ReleaseKey) -> str:
    """Return the digest by which a result names a release key, as the binding has it: of its suite, a zero, its bytes.

    Raises:
        ValueError: the key is no canonical base64url.
    """
    raw = key.suite.encode() + b"\0" + decode_segment(key.key.encode())
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def make_claims(
    *,
    issuer: str,
    subject: str,
    decision_id: str,
    kind: str,
    nonce: str,
    thumbprint: str,
    policy: str,
    obligation: AttestedObligation,
    issued_at: float,
    expires_at: float,
    release_key: ReleaseKey | None = None,
) -> ResultClaims:
    """Return the claims of a result.

    Args:
        issuer: the control plane's public URL.
        subject: that showed the evidence.
        decision_id: of the appraisal.
        kind: of evidence.
        nonce: of the challenge.
        thumbprint: of the subject's key (RFC 7638).
        policy: revision of the policy that appraised.
        obligation: what policy made of the evidence.
        issued_at: Unix seconds; a fraction is dropped.
        expires_at: Unix seconds; a fraction is dropped.
        release_key: that the evidence binds, where there is one.

    Raises:
        ValueError: a part has another form.
    """
    return ResultClaims(
        eat_profile=PROFILE,
        iss=issuer,
        sub=subject,
        jti=decision_id,
        iat=int(issued_at),
        exp=int(expires_at),
        eat_nonce=nonce,
        cnf=Confirmation(jkt=thumbprint),
        ear_verifier_id=_verifier(),
        submods={
            kind: Appraisal(
                ear_status=status_of(obligation.vector),
                ear_trustworthiness_vector=numbered(obligation.vector) or None,
                ear_appraisal_policy_ids=[policy],
                ztfm_level=obligation.level,
                ztfm_reference=obligation.reference,
            )
        },
        ztfm_release_key=None if release_key is None else release_key_digest(release_key),
    )


def sign_result(key: SigningKey, claims: ResultClaims) -> str:
    """Return a result as a compact JWT that ``key`` signs; its header names the key."""
    header = json.dumps({"alg": "ES256", "kid": key.kid, "typ": TYPE}, separators=(",", ":"))
    return key.sign(encode_segment(header.encode()), claims.model_dump_json(exclude_none=True).encode())


def read_result(
    token: str,
    keys: Mapping[str, EllipticCurvePublicKey],
    issuer: str,
    at: float,
    holder: str | None = None,
) -> ResultClaims:
    """Return the claims of a result that holds. What it says of the platform is for whoever asked to judge.

    Anybody may show a result that they have seen. It is worth something from whoever has just proven to hold the key
    that it names; and until it expires nobody who only reads it learns of evidence that contradicted it later.

    Args:
        token: a compact JWT.
        keys: the issuer's, by ``kid``, the only thing in a header that is listened to.
        issuer: who must have signed it.
        at: Unix seconds.
        holder: thumbprint (RFC 7638) of the key of whoever shows it; none where `ResultClaims.cnf` is looked at later.

    Raises:
        ValueError: it does not hold; why, in words that repeat nothing of it.
    """
    parsed = parse(token)
    if parsed is None:
        raise ValueError("the result is no compact token")
    header = parsed.header
    if header.keys() != _HEADER_NAMES or header["typ"] != TYPE or header["alg"] != "ES256":
        raise ValueError(f"the result's header is not that of one: typ {TYPE}, alg ES256 and a kid")
    key = keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        raise ValueError("the result names a key that its issuer does not publish")
    if not is_signed_by(key, parsed):
        raise ValueError("the result's signature does not hold")
    try:
        parse_object(parsed.payload)
        claims = ResultClaims.model_validate_json(parsed.payload)
    except (ValidationError, RecursionError):
        raise ValueError("the result's claims are not those of one") from None
    if claims.iss != issuer:
        raise ValueError("another control plane issued the result")
    # Each is put so that a time that is no number holds nothing.
    if not at >= claims.iat - LEEWAY_SECONDS:
        raise ValueError("the result was issued later than now; look at the clocks")
    if not at < claims.exp:
        raise ValueError("the result expired; attest again")
    if holder is not None and claims.cnf.jkt != holder:
        raise ValueError("the result is of another key than that of whoever shows it")
    return claims


@lru_cache(maxsize=1)
def _verifier() -> Verifier:
    return Verifier(developer="ztfm", build=f"ztfm {version('ztfm')}")
