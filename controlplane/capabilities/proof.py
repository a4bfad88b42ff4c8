"""Proofs of possession: DPoP (RFC 9449), also for transports that are not HTTP.

Such a transport names its own method (``PULL``, ``SUBMIT``, ``INFER``) and the target
``urn:ztfm:<audience>:<round>``. ``ztfm_digest`` binds a proof to the one update that it came with.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from controlplane.capabilities.refusals import Cause, Refused
from controlplane.capabilities.replay import ReplayCache, Use, Uses
from controlplane.capabilities.targets import normal_target
from controlplane.contracts.identity import PublicKey
from controlplane.jose.jws import (
    KNOWN_HEADERS,
    Compact,
    decode_segment,
    encode_segment,
    header_segment,
    is_signed_by,
    parse,
    parse_object,
)
from controlplane.jose.keys import DeviceKey, load_public
from controlplane.jose.keys import thumbprint as thumbprint_of

MAX_AGE_SECONDS = 60.0
LEEWAY_SECONDS = 5.0

_HEADER_NAMES = frozenset({"typ", "alg", "jwk"})
_END_OF_TIME = 253_402_300_799
_JTI = re.compile(r"[\x21-\x7e]{1,128}")

_DETAILS: dict[Cause, str] = {
    "proof_malformed": "The proof is not a dpop+jwt with ES256, a public P-256 key and the claims of RFC 9449.",
    "proof_wrong_target": "The proof was made for another method or URL.",
    "proof_stale": "The proof is too old or from the future; compare the clocks.",
    "proof_wrong_token": "The proof was made for another access token.",
    "proof_wrong_nonce": "The proof does not bear the expected nonce.",
    "proof_nonce_missing": "The proof bears no nonce, and one is needed here.",
    "proof_foreign_nonce": "The proof bears the nonce of another process.",
    "proof_stale_nonce": "The proof bears a nonce that has expired.",
    "wrong_digest": "The proof was made for another update.",
    "wrong_key": "The proof was made with another key.",
    "proof_bad_signature": "The proof is not signed by the key that it names.",
    "proof_replayed": "The proof was used before, or may have been.",
}


NonceRule = Callable[[object], Cause | None]
"""Says why the ``nonce`` claim of a proof does not serve (none stands for no claim), or none when it does."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that held.

    Attributes:
        key: the public key whose private part signed it.
        thumbprint: of that key (RFC 7638).
        jti: the proof's identifier.
        issued_at: Unix seconds.
    """

    key: PublicKey
    thumbprint: str
    jti: str
    issued_at: float


def token_hash(access_token: str) -> str:
    """Return the ``ath`` of an access token (RFC 9449 section 4.2)."""
    return encode_segment(hashlib.sha256(access_token.encode()).digest()).decode()


def make_proof(
    key: DeviceKey,
    *,
    method: str,
    url: str,
    now: float,
    access_token: str | None = None,
    nonce: str | None = None,
    digest: str | None = None,
) -> str:
    """Return a proof that the holder of ``key`` makes this one request.

    Args:
        key: the device's key.
        method: HTTP method, or the word of another transport.
        url: target; query and fragment are left out.
        now: Unix seconds.
        access_token: the capability that the proof goes with.
        nonce: the nonce that the other side asked for.
        digest: of the update that it goes with, ``sha256:`` and 64 hex digits.

    Raises:
        ValueError: ``url`` is not absolute.
    """
    target = normal_target(url)
    if target is None:
        raise ValueError("a proof needs an absolute URL or a URN")
    claims: dict[str, Any] = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": target, "iat": now}
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    if digest is not None:
        claims["ztfm_digest"] = digest
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public.model_dump()}
    return key.sign(encode_segment(_json(header)), _json(claims))


def examine(
    proof: str,
    *,
    method: str,
    url: str,
    now: float,
    max_age_seconds: float = MAX_AGE_SECONDS,
    leeway_seconds: float = LEEWAY_SECONDS,
    access_token: str | None = None,
    nonce: str | None = None,
    nonces: NonceRule | None = None,
    digest: str | None = None,
    thumbprint: str | None = None,
) -> Proof | Refused:
    """Return the proof, or why it does not hold for this request. Whether it was used before is not looked at.

    Args:
        proof: compact JWT.
        method: the request's method.
        url: the request's target; query and fragment are not compared.
        now: Unix seconds.
        max_age_seconds: how long after its making a proof may arrive.
        leeway_seconds: how far the two clocks may be apart.
        access_token: the capability that came with it; its hash must be in the proof.
        nonce: must be in the proof when given.
        nonces: what else the proof's nonce must satisfy; asked last, so that the key's holder alone is told.
        digest: of the update that came with it; must be in the proof when given.
        thumbprint: of the key that must have signed it, when one is expected.
    """
    token = parse(proof)
    read = None if token is None else _read(token)
    if token is None or read is None:
        return _refused("proof_malformed")
    presented, verifying, claims = read
    if claims["htm"] != method or not _same_target(claims["htu"], url):
        return _refused("proof_wrong_target")
    if not now - max_age_seconds - leeway_seconds < presented.issued_at <= now + leeway_seconds:
        return _refused("proof_stale")
    cause = _unbound(claims, access_token, nonce, digest)
    if cause is None and thumbprint is not None and presented.thumbprint != thumbprint:
        cause = "wrong_key"
    if cause is None and not is_signed_by(verifying, token):
        cause = "proof_bad_signature"
    if cause is None and nonces is not None:
        cause = nonces(claims.get("nonce"))
    return _refused(cause) if cause else presented


class ProofVerifier:
    """Verifies proofs, each once.

    Args:
        clock: Unix seconds.
        max_age_seconds: how long after its making a proof may arrive.
        leeway_seconds: how far the two clocks may be apart.
        capacity: proofs remembered at most. It bounds the sustained rate: ``capacity / (max_age + leeway)``
            proofs a second, above which fresh ones are refused.
        replay: remembers the proofs instead of a memory of its own, for all processes that share it.
        elsewhere: asks those on other machines, too; `verify_everywhere` does.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        max_age_seconds: float = MAX_AGE_SECONDS,
        leeway_seconds: float = LEEWAY_SECONDS,
        capacity: int = 100_000,
        replay: Uses | None = None,
        elsewhere: Callable[[str, float], Awaitable[Use]] | None = None,
    ) -> None:
        self._clock = clock
        self._elsewhere = elsewhere
        self._max_age = max_age_seconds
        self._leeway = leeway_seconds
        self._replay: Uses = ReplayCache(clock, capacity) if replay is None else replay

    def verify(
        self,
        proof: str,
        *,
        method: str,
        url: str,
        access_token: str | None = None,
        nonce: str | None = None,
        nonces: NonceRule | None = None,
        digest: str | None = None,
        thumbprint: str | None = None,
    ) -> Proof | Refused:
        """Return the proof, or why it does not hold for this request; one that holds is used up.

        The arguments are those of `examine`.
        """
        examined = examine(
            proof,
            method=method,
            url=url,
            now=self._clock(),
            max_age_seconds=self._max_age,
            leeway_seconds=self._leeway,
            access_token=access_token,
            nonce=nonce,
            nonces=nonces,
            digest=digest,
            thumbprint=thumbprint,
        )
        return self._use(examined) if isinstance(examined, Proof) else examined

    async def verify_everywhere(self, found: Proof | Refused) -> Proof | Refused:
        """Return what `verify` found, unless the proof was used on another machine: it is used up on all of them.

        Raises:
            Exception: that of ``elsewhere``, which could not be asked; the proof must not pass.
        """
        if self._elsewhere is None or isinstance(found, Refused):
            return found
        return found if await self._elsewhere(*self._named(found)) == "first" else _refused("proof_replayed")

    def _use(self, examined: Proof) -> Proof | Refused:
        return examined if self._replay.use(*self._named(examined)) == "first" else _refused("proof_replayed")

    def _named(self, examined: Proof) -> tuple[str, float]:
        # A device's identifiers are its own: nobody can use up another's.
        return f"{examined.thumbprint}.{examined.jti}", examined.issued_at + self._max_age + self._leeway


def holder_of(proof: str) -> tuple[PublicKey, str] | None:
    """Return the key that a proof presents and its thumbprint, or none; nothing is verified."""
    try:
        return _holder(header_segment(proof))[:2]
    except (ValueError, RecursionError):
        return None


def _read(token: Compact) -> tuple[Proof, EllipticCurvePublicKey, dict[str, Any]] | None:
    try:
        key, thumbprint, verifying = _holder(token.header_segment)
        claims = parse_object(token.payload)
    except (ValueError, RecursionError):
        return None
    jti, issued_at = claims.get("jti"), claims.get("iat")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        return None
    if isinstance(issued_at, bool) or not isinstance(issued_at, (int, float)) or not 0 <= issued_at <= _END_OF_TIME:
        return None
    if not isinstance(claims.get("htm"), str) or not isinstance(claims.get("htu"), str):
        return None
    return Proof(key, thumbprint, jti, issued_at), verifying, claims


@lru_cache(maxsize=KNOWN_HEADERS)
def _holder(header_segment: bytes) -> tuple[PublicKey, str, EllipticCurvePublicKey]:
    """Return the key that a proof's header presents; a device proves itself again and again with the same one.

    Raises:
        ValueError: not the header of a proof, or no point of the curve (a `pydantic.ValidationError` is one too).
    """
    header = parse_object(decode_segment(header_segment))
    if header.keys() != _HEADER_NAMES or header["typ"] != "dpop+jwt" or header["alg"] != "ES256":
        raise ValueError("not the header of a proof")
    key = PublicKey.model_validate(header["jwk"])
    return key, thumbprint_of(key), load_public(key)


def _unbound(claims: dict[str, Any], access_token: str | None, nonce: str | None, digest: str | None) -> Cause | None:
    if access_token is not None and claims.get("ath") != token_hash(access_token):
        return "proof_wrong_token"
    if nonce is not None and claims.get("nonce") != nonce:
        return "proof_wrong_nonce"
    if digest is not None and claims.get("ztfm_digest") != digest:
        return "wrong_digest"
    return None


def _same_target(presented: str, expected: str) -> bool:
    target = normal_target(expected)
    return target is not None and (presented == target or normal_target(presented) == target)


def _refused(cause: Cause) -> Refused:
    return Refused(cause, _DETAILS[cause])


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
