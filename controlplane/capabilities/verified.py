"""Tokens whose signature was verified already: bounded, and never trusted longer than their key or their life."""

from collections.abc import Mapping
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from controlplane.contracts.capability import CapabilityClaims

Keys = Mapping[str, EllipticCurvePublicKey]


class VerifiedTokens:
    """Remembers the claims of whole tokens, so that one which is presented again has its signature verified once.

    An answer is given for the very keys that verified the token: whoever trusts other keys finds nothing. Whether a
    token has expired, was revoked or fits the request is looked at every time, by whoever asks. Safe to share
    between threads.

    Args:
        capacity: tokens that are kept at most, some kilobytes each; 0 remembers none. The oldest makes room.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError("a capacity is no negative number")
        self._capacity = capacity
        self._known: dict[str, tuple[Keys, CapabilityClaims]] = {}
        self._lock = Lock()

    def find(self, token: object, keys: Keys) -> CapabilityClaims | None:
        """Return the claims of a token that one of ``keys`` verified, or none."""
        found = self._known.get(token) if isinstance(token, str) else None
        return found[1] if found is not None and found[0] is keys else None

    def keep(self, token: str, keys: Keys, claims: CapabilityClaims, now: float) -> None:
        """Remember a token that one of ``keys`` verified; one that holds once will not come again.

        Args:
            token: the whole of it.
            keys: that were trusted when it was verified.
            claims: its claims.
            now: Unix seconds; what expired is forgotten on the way.
        """
        if not self._capacity or claims.detail.constraints.one_time or claims.exp <= now:
            return
        with self._lock:
            self._make_room(keys, now)
            self._known[token] = (keys, claims)

    def __len__(self) -> int:
        return len(self._known)

    def _make_room(self, keys: Keys, now: float) -> None:
        # Tokens come in about the order in which they expire, so those to forget stand in front.
        while self._known:
            oldest = next(iter(self._known))
            then, claims = self._known[oldest]
            if then is keys and claims.exp > now and len(self._known) < self._capacity:
                return
            del self._known[oldest]
