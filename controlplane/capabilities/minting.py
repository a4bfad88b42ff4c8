"""Mint capabilities (RFC 9068): short-lived, for one thing, bound to one key."""

import json
import math
import secrets
from collections.abc import Callable

from controlplane.capabilities.jws import encode_segment
from controlplane.capabilities.keys import SigningKey
from controlplane.capabilities.statuslist import status_of
from controlplane.contracts.capability import (
    MAX_LIFETIME_SECONDS,
    MIN_LIFETIME_SECONDS,
    AuthorizationDetail,
    CapabilityClaims,
    Confirmation,
)

_TICKS_PER_SECOND = 1024


class Minter:
    """Signs capabilities as one issuer.

    Args:
        key: the signing key; its ``kid`` goes into the header.
        issuer: the public URL of the control plane.
        clock: Unix seconds.
    """

    def __init__(self, key: SigningKey, issuer: str, clock: Callable[[], float]) -> None:
        self._key = key
        self._issuer = issuer
        self._clock = clock
        header = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}
        self._header = encode_segment(json.dumps(header, separators=(",", ":")).encode())

    def mint(
        self,
        subject: str,
        thumbprint: str,
        audience: str,
        detail: AuthorizationDetail,
        decision_id: str,
        policy_revision: str,
        ttl_seconds: float,
    ) -> tuple[str, CapabilityClaims]:
        """Return a token and its claims.

        Args:
            subject: the enrolled device.
            thumbprint: of its key (RFC 7638); a proof by that key must come with every use.
            audience: the one enforcement point that may accept it.
            detail: the one thing it allows.
            decision_id: the recorded decision behind it.
            policy_revision: of the policy that decided.
            ttl_seconds: lifetime, brought into 5 to 300 s.

        Raises:
            ValueError: the lifetime is not a positive number; a decision that may not be relied on mints nothing.
        """
        lifetime = _lifetime(ttl_seconds)
        issued_at = _whole_ticks(self._clock())
        claims = CapabilityClaims(
            iss=self._issuer,
            sub=subject,
            aud=audience,
            exp=issued_at + lifetime,
            iat=issued_at,
            jti=f"cap-{secrets.token_hex(16)}",
            client_id=subject,
            cnf=Confirmation(jkt=thumbprint),
            authorization_details=[detail],
            decision_id=decision_id,
            policy_revision=policy_revision,
            status=status_of(self._issuer, decision_id, issued_at),
        )
        payload = claims.__pydantic_serializer__.to_json(claims, exclude_none=True)
        return self._key.sign(self._header, payload), claims


def _lifetime(ttl_seconds: float) -> float:
    if not math.isfinite(ttl_seconds) or ttl_seconds <= 0:
        raise ValueError("a capability's lifetime is a positive number of seconds")
    return _whole_ticks(min(max(ttl_seconds, MIN_LIFETIME_SECONDS), MAX_LIFETIME_SECONDS))


def _whole_ticks(seconds: float) -> float:
    # Binary fractions add without rounding, so exp - iat is exactly the lifetime.
    return math.floor(seconds * _TICKS_PER_SECOND) / _TICKS_PER_SECOND
