"""Single-use enrolment tokens. The store knows their hashes alone."""

import hashlib
import secrets
from collections.abc import Callable, Sequence

from controlplane.contracts.identity import EnrolmentGrant
from controlplane.identity.interfaces import TokenStore

MAX_ISSUED = 10_000
MAX_LIFETIME_SECONDS = 90 * 86_400.0
_PREFIX = "ztfm-enrol-"
_ENTROPY_BYTES = 32


def token_digest(token: str) -> str:
    """Return the SHA-256 of a token in hex, under which it is kept.

    The token has 256 random bits, so a plain hash cannot be searched and needs no salt.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


class EnrolmentTokens:
    """Issues tokens and says what a presented one allows.

    Args:
        store: keeps hashes and grants.
        clock: Unix seconds.
    """

    def __init__(self, store: TokenStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def issue(self, roles: Sequence[str], segment: str, lifetime_seconds: float, count: int = 1) -> list[str]:
        """Return ``count`` new tokens; each lets one device enrol. They cannot be read again.

        Args:
            roles: what a device may enrol as.
            segment: where it may enrol.
            lifetime_seconds: how long the tokens hold, up to 90 days.
            count: how many, up to 10,000.

        Raises:
            ValueError: an argument is out of bounds (a `pydantic.ValidationError` names a role or segment).
        """
        if not 1 <= count <= MAX_ISSUED:
            raise ValueError(f"1 to {MAX_ISSUED} tokens are issued at once, not {count}")
        if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
            raise ValueError("a token's lifetime is more than 0 s and at most 90 days")
        expires_at = self._clock() + lifetime_seconds
        grant = EnrolmentGrant(roles=list(roles), segment=segment, expires_at=expires_at, uses=0)
        tokens = [_PREFIX + secrets.token_urlsafe(_ENTROPY_BYTES) for _ in range(count)]
        await self._store.add_many({token_digest(token): grant for token in tokens})
        return tokens

    async def withdraw(self, token: str) -> bool:
        """Have a token let nobody enrol any more; false when it would not have anyway."""
        return await self._store.consume(token_digest(token), self._clock())

    async def lookup(self, token: str) -> EnrolmentGrant | None:
        """Return what a token allows, with its uses and expiry for policy to judge; none when nobody issued it."""
        if not token.startswith(_PREFIX):
            return None
        return await self._store.get(token_digest(token))
