"""JWT-SVIDs: minted, by type apart from everything else that the same keys sign (SPIFFE, JWT-SVID).

A capability and an access token are of type ``at+jwt`` and name a registered subject; a JWT-SVID is of type ``JWT`` and
names a SPIFFE ID. Each side refuses the other's by either difference.
"""

import secrets
from collections.abc import Callable, Collection

from controlplane.capabilities.issued import header_of
from controlplane.contracts.svids import MAX_JWT_SVID_SECONDS, JwtSvidClaims
from controlplane.identifiers.spiffe import SpiffeId
from controlplane.jose.keys import SigningKey

JWT_SVID = "JWT"
"""The type of a JWT-SVID (JWT-SVID, section 2.3)."""


class JwtSvids:
    """Mints JWT-SVIDs.

    Args:
        current: returns the key that signs now.
        clock: Unix seconds.
    """

    def __init__(self, current: Callable[[], SigningKey], clock: Callable[[], float]) -> None:
        self._current = current
        self._clock = clock

    def mint(self, subject: SpiffeId, audience: Collection[str], lifetime_seconds: float) -> tuple[str, JwtSvidClaims]:
        """Return a token and its claims.

        Args:
            subject: the workload's name.
            audience: who may take it; who is named twice is named once.
            lifetime_seconds: up to five minutes, brought to whole seconds.

        Raises:
            ValueError: the name is an authority's, the lifetime is out of bounds, or there is no audience.
            NoSigningKey: no key may sign now.
        """
        if not subject.path:
            raise ValueError("a workload's name has a path; without one it is an authority's")
        if not 1 <= lifetime_seconds <= MAX_JWT_SVID_SECONDS:
            raise ValueError(f"a JWT-SVID lives for 1 to {MAX_JWT_SVID_SECONDS:g} s")
        now = int(self._clock())
        claims = JwtSvidClaims(
            sub=str(subject),
            aud=list(dict.fromkeys(audience)),
            exp=now + int(lifetime_seconds),
            iat=now,
            jti=f"svid-{secrets.token_hex(16)}",
        )
        key = self._current()
        return key.sign(header_of(key.kid, JWT_SVID), claims.model_dump_json().encode()), claims
