"""JWT-SVIDs to show, kept while they hold: one for each audience, since each could show those of the others."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from controlplane.contracts.svids import IssuedJwtSvid

RENEWED_AT = 0.5
"""The share of its life after which a token is replaced when it is asked for."""

AUDIENCES = 64
"""Audiences whose tokens are kept; of more, those that were asked for longest ago are forgotten."""


class TokenIssuer(Protocol):
    """Issues JWT-SVIDs; an `adapters.client.ControlPlane` does."""

    async def jwt_svid(self, audience: Sequence[str], lifetime_seconds: float = ...) -> IssuedJwtSvid:
        """Return a JWT-SVID for those whom it names."""
        ...


@dataclass
class _Kept:
    issued: IssuedJwtSvid | None = None
    fresh_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class JwtSvidSource:
    """Gives out JWT-SVIDs, and asks for one only where none is fresh enough. For one event loop.

    Args:
        plane: the control plane, spoken to with the enrolled key.
        lifetime_seconds: asked for, up to five minutes; policy may have it shorter.
        clock: Unix seconds.
    """

    def __init__(
        self, plane: TokenIssuer, *, lifetime_seconds: float = 300.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._plane = plane
        self._lifetime = lifetime_seconds
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def get(self, audience: str) -> str:
        """Return a token for one audience that holds for at least half of its life more.

        A denial ends what was kept: policy's newest word counts.

        Raises:
            ControlPlaneError: any of `adapters.errors`; `Forbidden` of these where policy denies it.
        """
        kept = self._kept.setdefault(audience, _Kept())
        self._kept.move_to_end(audience)
        while len(self._kept) > AUDIENCES:
            self._kept.popitem(last=False)
        async with kept.turn:
            if kept.issued is None or self._clock() >= kept.fresh_until:
                kept.issued = None
                begun = self._clock()
                issued = await self._plane.jwt_svid([audience], self._lifetime)
                kept.issued, kept.fresh_until = issued, begun + RENEWED_AT * (issued.expires_at - begun)
            return kept.issued.svid
