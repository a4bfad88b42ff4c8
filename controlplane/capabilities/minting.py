"""Mint capabilities (RFC 9068): short-lived, for one thing, bound to one key."""

import math
import os
from collections.abc import Callable
from functools import lru_cache

from controlplane.capabilities.issued import header_of
from controlplane.capabilities.statuslist import status_of
from controlplane.contracts.capability import (
    MAX_LIFETIME_SECONDS,
    MIN_LIFETIME_SECONDS,
    AuthorizationDetail,
    CapabilityClaims,
    Confirmation,
)
from controlplane.jose.keys import SigningKey

_TICKS_PER_SECOND = 1024


class Minter:
    """Signs capabilities as one issuer.

    Args:
        current: returns the key that signs now; its ``kid`` goes into the header. Asked for each capability.
        issuer: the public URL of the control plane.
        clock: Unix seconds.
    """

    def __init__(self, current: Callable[[], SigningKey], issuer: str, clock: Callable[[], float]) -> None:
        self._current = current
        self._issuer = issuer
        self._clock = clock

    def mint(
        self,
        subject: str,
        thumbprint: str,
        audience: str,
        detail: AuthorizationDetail,
        decision_id: str,
        policy_revision: str,
        ttl_seconds: float,
        certificate: str | None = None,
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
            certificate: SHA-256 thumbprint of a client certificate; each use must come over a TLS connection that
                is made with it, instead of with a proof (RFC 8705).

        Raises:
            ValueError: the lifetime is not a positive number; a decision that may not be relied on mints nothing.
            NoSigningKey: no key may sign now.
        """
        lifetime = _lifetime(ttl_seconds)
        issued_at = _whole_ticks(self._clock())
        # Its parts are validated already, or ours: this is on the path of every capability.
        claims = CapabilityClaims.of_trusted(
            iss=self._issuer,
            sub=subject,
            aud=audience,
            exp=issued_at + lifetime,
            iat=issued_at,
            jti=f"cap-{os.urandom(16).hex()}",
            client_id=subject,
            cnf=_bound_to(thumbprint, certificate),
            authorization_details=[detail],
            decision_id=decision_id,
            policy_revision=policy_revision,
            status=status_of(self._issuer, decision_id, issued_at),
        )
        payload = claims.__pydantic_serializer__.to_json(claims, exclude_none=True)
        key = self._current()
        return key.sign(header_of(key.kid), payload), claims


@lru_cache(maxsize=4096)
def _bound_to(thumbprint: str, certificate: str | None) -> Confirmation:
    return Confirmation(jkt=thumbprint) if certificate is None else Confirmation(x5t=certificate)


def _lifetime(ttl_seconds: float) -> float:
    if not math.isfinite(ttl_seconds) or ttl_seconds <= 0:
        raise ValueError("a capability's lifetime is a positive number of seconds")
    return _whole_ticks(min(max(ttl_seconds, MIN_LIFETIME_SECONDS), MAX_LIFETIME_SECONDS))


def _whole_ticks(seconds: float) -> float:
    # Binary fractions add without rounding, so exp - iat is exactly the lifetime.
    return math.floor(seconds * _TICKS_PER_SECOND) / _TICKS_PER_SECOND
