"""Access tokens for the control plane's own API (RFC 9068): who asks, never what is allowed.

They are signed with the keys that sign capabilities, and told apart by their claims: the audience is the issuer, there
is a scope and there are no authorization details. Each side refuses the other's tokens as malformed.
"""

import secrets
from collections.abc import Callable, Iterable
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import ValidationError

from controlplane.capabilities.issued import header_of, open_issued
from controlplane.capabilities.refusals import Cause, Refused
from controlplane.capabilities.revocations import Standing
from controlplane.contracts.capability import Confirmation
from controlplane.contracts.identity import PublicKey
from controlplane.contracts.oauth import ACCESS_TOKEN_SECONDS, API_SCOPE, AccessTokenClaims
from controlplane.jose.jws import parse_object
from controlplane.jose.keys import SigningKey, load_public

_DETAILS: dict[Cause, str] = {
    "malformed": "The token is not an at+jwt with ES256 and the claims of an access token for this API.",
    "unknown_key": "The token was signed with a key that this issuer does not publish.",
    "bad_signature": "The token's signature does not hold.",
    "expired": "The token has expired; ask for a new one.",
    "not_yet_valid": "The token is from the future.",
    "wrong_issuer": "The token is another issuer's.",
    "wrong_audience": "The token is for another audience.",
    "wrong_subject": "The token names two subjects.",
    "revoked": "The token was revoked.",
    "revocations_unknown": "Revocations cannot be read; no token is trusted meanwhile.",
}


class AccessTokens:
    """Mints and verifies access tokens as one issuer.

    Args:
        signer: the key that signs now.
        verifying: the keys of the published set.
        issuer: the public URL of the control plane.
        clock: Unix seconds.
        standing: says whether a token (its id, its ``iat``) was revoked.
        leeway_seconds: how far the clocks of replicas may be apart. Nothing is accepted after its expiry.
    """

    def __init__(
        self,
        signer: Callable[[], SigningKey],
        verifying: Callable[[], Iterable[SigningKey]],
        issuer: str,
        clock: Callable[[], float],
        standing: Callable[[str, float], Standing],
        *,
        leeway_seconds: float = 5.0,
    ) -> None:
        self._signer = signer
        self._verifying = verifying
        self._issuer = issuer
        self._clock = clock
        self._standing = standing
        self._leeway = leeway_seconds

    def mint(self, subject: str, confirmation: Confirmation) -> tuple[str, AccessTokenClaims]:
        """Return a token and its claims.

        Args:
            subject: the enrolled subject.
            confirmation: the key or certificate that must come with every use.
        """
        issued_at = int(self._clock())
        claims = AccessTokenClaims(
            iss=self._issuer,
            sub=subject,
            aud=self._issuer,
            exp=issued_at + ACCESS_TOKEN_SECONDS,
            iat=issued_at,
            jti=f"api-{secrets.token_hex(16)}",
            client_id=subject,
            cnf=confirmation,
            scope=API_SCOPE,
        )
        key = self._signer()
        payload = claims.__pydantic_serializer__.to_json(claims, exclude_none=True)
        return key.sign(header_of(key.kid), payload), claims

    def verify(self, token: str) -> AccessTokenClaims | Refused:
        """Return the claims of a token that holds now; its proof is the caller's to verify."""
        claims = self._read(token)
        if isinstance(claims, AccessTokenClaims):
            cause = self._untimely(claims) or self._misaddressed(claims) or self._revoked(claims)
            return _refused(cause) if cause else claims
        return _refused(claims)

    def _read(self, token: str) -> AccessTokenClaims | Cause:
        opened = open_issued(token, self._key_of)
        if isinstance(opened, str):
            return opened
        try:
            return AccessTokenClaims.model_validate(parse_object(opened.payload))
        except (ValidationError, ValueError, RecursionError):
            return "malformed"

    def _key_of(self, kid: str) -> EllipticCurvePublicKey | None:
        return next((_loaded(key.public) for key in self._verifying() if key.kid == kid), None)

    def _untimely(self, claims: AccessTokenClaims) -> Cause | None:
        if not 0 < claims.exp - claims.iat <= ACCESS_TOKEN_SECONDS:
            return "malformed"
        now = self._clock()
        if now >= claims.exp:
            return "expired"
        return None if claims.iat <= now + self._leeway else "not_yet_valid"

    def _revoked(self, claims: AccessTokenClaims) -> Cause | None:
        standing = self._standing(claims.jti, claims.iat)
        if standing == "good":
            return None
        return "revoked" if standing == "revoked" else "revocations_unknown"

    def _misaddressed(self, claims: AccessTokenClaims) -> Cause | None:
        if claims.iss != self._issuer:
            return "wrong_issuer"
        if claims.aud != self._issuer:
            return "wrong_audience"
        return None if claims.client_id == claims.sub else "wrong_subject"


@lru_cache(maxsize=32)
def _loaded(key: PublicKey) -> EllipticCurvePublicKey:
    return load_public(key)


def _refused(cause: Cause) -> Refused:
    return Refused(cause, _DETAILS[cause])
