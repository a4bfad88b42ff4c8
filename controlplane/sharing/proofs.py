"""Seen proofs of all replicas: a proof passes once, whichever of them it is shown to."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from controlplane.capabilities.replay import Use
from controlplane.sharing.groups import Groups, Observer
from controlplane.sharing.names import named

Proof = tuple[str, float]
"""The name of a proof, and until when it could be shown again (Unix seconds)."""


class Claims(Protocol):
    """Remembers proofs for all replicas; `storage.limits` does."""

    async def claim(self, proofs: Mapping[str, float]) -> set[str]:
        """Remember proofs, by name with their expiry (Unix seconds); return those that were not seen before."""
        ...


class SharedProofs:
    """Proofs that were seen at any replica. All that come while the store is asked are asked about together.

    Args:
        claims: remembers them.
        observer: hears how often it is asked.
    """

    def __init__(self, claims: Claims, observer: Observer) -> None:
        self._claims = claims
        self._groups: Groups[Proof, Use] = Groups("proofs", self._claim, observer)

    async def use(self, kind: str, identifier: str, expires_at: float) -> Use:
        """Mark a proof as used until ``expires_at`` (Unix seconds), and return how it was met.

        Args:
            kind: of proof; those of two kinds are never the same.
            identifier: of it.
            expires_at: when it can be shown no more.

        Raises:
            StoreUnavailable: the store was not there to ask; the proof is used up, or may be.
        """
        return await self._groups.ask((named(kind, identifier), expires_at))

    async def _claim(self, group: Sequence[Proof]) -> list[Use]:
        first = dict(reversed(group))
        unseen = await self._claims.claim(first)
        found: list[Use] = []
        for name, _ in group:
            found.append("first" if name in unseen else "again")
            # Of one that came twice at once, the first alone is the first.
            unseen.discard(name)
        return found
