"""Poll Token Status Lists, for enforcement points that cannot keep a connection open."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from adapters.errors import ControlPlaneError
from adapters.feed import CLOCK_LEEWAY_SECONDS, KEYS_PAUSE_SECONDS, MAX_SILENCE_SECONDS
from adapters.following import Follower
from controlplane.capabilities.errors import KeySetError
from controlplane.capabilities.keyset import read_keys
from controlplane.capabilities.revocations import Standing
from controlplane.capabilities.statuslist import is_set, list_uri, window_of
from controlplane.capabilities.statustokens import read_list
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS, CapabilityClaims

POLL_SECONDS = 3.0
_log = logging.getLogger("ztfm.revocations")


class ListSource(Protocol):
    """Gives out lists and keys; a `ControlPlane` does."""

    @property
    def url(self) -> str:
        """The control plane's public URL."""
        ...

    async def status_list(self, window: int) -> str:
        """Return a list's token."""
        ...

    async def jwks(self) -> Mapping[str, Any]:
        """Return the published keys."""
        ...


class StatusListPoller(Follower):
    """Knows how capabilities stand from lists that it fetches. An asynchronous context manager.

    It learns of a revocation, or of a withdrawn key, within ``interval_seconds`` and a second. Of two capabilities that
    share a place both are refused when one is void. `standing` may be asked from any thread.

    Args:
        plane: the control plane, spoken to as somebody who may read status lists.
        issuer: whose lists are taken in; none for the control plane's URL.
        max_silence_seconds: a list that is older says nothing good.
        interval_seconds: between two fetches.
        clock: Unix seconds.

    Attributes:
        ignored: lists that were not taken in, by why.
    """

    def __init__(
        self,
        plane: ListSource,
        *,
        issuer: str | None = None,
        max_silence_seconds: float = MAX_SILENCE_SECONDS,
        interval_seconds: float = POLL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 < interval_seconds < max_silence_seconds:
            raise ValueError("lists are fetched more often than they may be old")
        super().__init__("ztfm-status-lists")
        self.ignored: Counter[str] = Counter()
        self._plane = plane
        self._issuer = issuer or plane.url
        self._max_silence = max_silence_seconds
        self._interval = interval_seconds
        self._clock = clock
        self._keys: Mapping[str, EllipticCurvePublicKey] = {}
        self._keys_at: float | None = None
        self._lists: Mapping[str, tuple[bytes, float]] = {}

    async def close(self) -> None:
        """Poll no longer; nothing is held good from then on."""
        await super().close()
        self._lists = {}

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        """Return how a capability stands that holds otherwise; ``unknown`` without a fresh list that it stands in."""
        if kid not in self._keys:
            return "revoked" if self._keys else "unknown"
        reference = claims.status.status_list
        found = self._lists.get(reference.uri)
        try:
            if found is None or is_set(found[0], reference.idx):
                return "unknown" if found is None else "revoked"
        except IndexError:
            return "unknown"
        age = self._clock() - found[1]
        return "good" if -CLOCK_LEEWAY_SECONDS <= age <= self._max_silence else "unknown"

    async def _run(self) -> None:
        while True:
            try:
                await self._poll()
                self._known.set()
            except (ControlPlaneError, KeySetError, ValueError) as error:
                _log.warning("status lists cannot be had; after a while no capability is trusted: %s", error)
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.0))  # noqa: S311 - spreads load

    async def _poll(self) -> None:
        await self._renew_keys()
        now = self._clock()
        # The next list is there before the first capability that stands in it.
        times = (now - MAX_LIFETIME_SECONDS, now, now + 2 * self._interval)
        fetched = {}
        for window in dict.fromkeys(map(window_of, times)):
            uri = list_uri(self._issuer, window)
            fetched[uri] = await self._fetch(window, uri)
        self._lists = fetched

    async def _fetch(self, window: int, uri: str) -> tuple[bytes, float]:
        if self._keys_at is None:
            await self._renew_keys()
        token = await self._plane.status_list(window)
        for _ in range(2):
            try:
                return read_list(token, self._keys, self._issuer, uri, self._clock())
            except KeyError:
                if not await self._renew_keys():
                    break
            except ValueError:
                self.ignored["malformed"] += 1
                raise
        self.ignored["unknown_key"] += 1
        raise ValueError("a list is signed with a key that is not published")

    async def _renew_keys(self) -> bool:
        now = self._clock()
        if self._keys_at is not None and 0.0 <= now - self._keys_at < KEYS_PAUSE_SECONDS:
            return False
        self._keys = read_keys(await self._plane.jwks())
        self._keys_at = now
        return True
