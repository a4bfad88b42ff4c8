"""Follow the control plane's security events, so that what is revoked is refused within a second."""

import asyncio
import logging
import random
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from adapters.errors import ControlPlaneError, Unavailable
from adapters.following import Follower
from adapters.serversent import ServerEvent
from controlplane.capabilities.errors import KeySetError
from controlplane.capabilities.events import EventVerifier, is_reset_to
from controlplane.capabilities.revocations import RevocationState, Standing, is_rekeying
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.events import REACH_SECONDS, OpaqueSubject, SecurityEventClaims

MAX_SILENCE_SECONDS = 10.0
"""Without news for so long nothing is held good any more."""

CLOCK_LEEWAY_SECONDS = 5.0
"""How far the two clocks may be apart before a sign of life counts as old."""

LONGEST_PAUSE_SECONDS = 2.0
"""Between two tries to connect; the first comes at once, and each has some jitter."""

KEYS_PAUSE_SECONDS = 1.0
"""Between two fetches of the published keys."""

_FIRST_PAUSE_SECONDS = 0.1
_REMEMBERED = 10_000
_KEPT = {"security-event", "reset"}
_log = logging.getLogger("ztfm.revocations")


def elapsed() -> float:
    """Return seconds that never step back and, where the system can tell, go on while it is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class EventSource(Protocol):
    """Gives out events and keys; a `ControlPlane` does."""

    @property
    def url(self) -> str:
        """The control plane's public URL."""
        ...

    def events(self, last_event_id: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ServerEvent]]:
        """Follow the events from where one was."""
        ...

    async def jwks(self) -> Mapping[str, Any]:
        """Return the published keys."""
        ...


class RevocationFeed(Follower):
    """Knows how capabilities stand, for as long as it hears from the control plane. An asynchronous context manager.

    Every event is verified with the published keys before it counts. One that does not hold is counted and not taken
    in, and the feed connects anew from the last one that did. Where a number in the sequence is missing, everything
    that was issued until then is distrusted, as after a reset. So whoever alters the stream can stop it, which refuses
    everything after ``max_silence_seconds``, but cannot hide a revocation in it.

    `standing` may be asked from any thread.

    Args:
        plane: the control plane, spoken to as somebody who may read events.
        issuer: whose events are taken in; none for the control plane's URL.
        max_silence_seconds: without news for so long nothing is held good.
        clock: Unix seconds.
        timer: seconds, never stepping back.

    Attributes:
        events: taken in, by type.
        ignored: not taken in, by why.
    """

    def __init__(
        self,
        plane: EventSource,
        *,
        issuer: str | None = None,
        max_silence_seconds: float = MAX_SILENCE_SECONDS,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = elapsed,
    ) -> None:
        super().__init__("ztfm-revocations")
        self.events: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self._plane = plane
        self._clock = clock
        self._timer = timer
        self._max_silence = max_silence_seconds
        self._state = RevocationState(clock, timer, max_silence_seconds=max_silence_seconds)
        self._verifier = EventVerifier(issuer or plane.url, {"keys": []})
        self._rekeyed: OrderedDict[str, None] = OrderedDict()
        self._last: int | None = None
        self._keys_at: float | None = None

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        """Return how a capability stands that was signed with the key ``kid`` and holds otherwise."""
        return self._state.standing(claims, kid)

    def has_other_key(self, name: str) -> bool:
        """Whether an event said that a device took another key than its first, which is nobody's from then on."""
        return name in self._rekeyed

    @property
    def is_current(self) -> bool:
        """Whether there was news, or word that there is none, within ``max_silence_seconds``."""
        return self._state.is_current

    @property
    def last_event_id(self) -> int | None:
        """The last event that was taken in, or none."""
        return self._last

    async def _run(self) -> None:
        pause, is_failing = _FIRST_PAUSE_SECONDS, False
        try:
            while True:
                heard = sum(self.events.values())
                try:
                    await self._follow()
                except (ControlPlaneError, KeySetError) as error:
                    level = logging.DEBUG if is_failing else logging.WARNING
                    _log.log(level, "revocations are not followed now; trying on: %s", error)
                    is_failing = True
                except Exception:  # noqa: BLE001 - logged, tried again, and without news nothing is held good
                    _log.exception("an unexpected fault while following revocations")
                if sum(self.events.values()) > heard:
                    pause, is_failing = _FIRST_PAUSE_SECONDS, False
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS, self._max_silence / 4)
        finally:
            self._state.doubt()

    async def _follow(self) -> None:
        if self._keys_at is None:
            await self._renew_keys()
        async with self._plane.events(self._last) as arriving:
            while True:
                try:
                    async with asyncio.timeout(self._max_silence / 2):
                        event = await anext(arriving, None)
                except TimeoutError:
                    raise Unavailable("the stream of events fell silent") from None
                if event is None:
                    return
                await self._take(event)

    async def _take(self, event: ServerEvent) -> None:
        if event.name not in _KEPT | {"keepalive"}:
            return
        sequence = int(event.id) if event.id is not None and event.id.isdecimal() and len(event.id) < 19 else None
        claims = self._verify(event, sequence)
        if claims == "unknown_key" and await self._renew_keys():
            claims = self._verify(event, sequence)
        if isinstance(claims, str):
            self.ignored[claims] += 1
            raise Unavailable(f"an event does not hold ({claims}); it is asked for once more")
        if claims.events.verification is not None:
            self._hear(claims, int(claims.events.verification.state))
            return
        is_gap = False
        happened = claims.events.caep
        if happened is not None and sequence is not None and self._last is not None:
            if sequence <= self._last:
                # Taken in before; from there the ones between could be left out.
                return
            is_gap = sequence > self._last + 1
        if is_gap and happened is not None:
            self.ignored["missed"] += 1
            _log.warning("an event before %s is missing; what was issued until then is distrusted", sequence)
            self._state.distrust(happened.event_timestamp + REACH_SECONDS)
        self._state.apply(claims)
        if is_rekeying(claims) and isinstance(claims.sub_id, OpaqueSubject):
            self._rekeyed[claims.sub_id.id] = None
            while len(self._rekeyed) > _REMEMBERED:
                self._rekeyed.popitem(last=False)
        self._last = sequence
        self.events[claims.events.kind or "reset"] += 1
        if is_gap or claims.events.reset is not None or claims.events.credential_change is not None:
            # Whatever else is trusted for this key's sake is no longer.
            await self._renew_keys()

    def _verify(self, event: ServerEvent, sequence: int | None) -> SecurityEventClaims | str:
        found = self._verifier.verify(event.data, sequence if event.name == "security-event" else None)
        if isinstance(found, str):
            return found
        is_named = {
            "security-event": found.events.kind is not None,
            "keepalive": found.events.verification is not None,
            "reset": found.events.reset is not None,
        }
        if not is_named[event.name]:
            return "malformed"
        # Its number is signed too: from one that is too large on, whatever comes next could be left out.
        is_reset = found.events.reset is not None
        return (
            "wrong_sequence" if is_reset and not is_reset_to(found.jti, -1 if sequence is None else sequence) else found
        )

    def _hear(self, claims: SecurityEventClaims, newest: int) -> None:
        if self._last is not None and newest > self._last:
            self.ignored["missed"] += 1
            raise Unavailable("an event is missing; it is asked for once more")
        self.events["keepalive"] += 1
        self._last = max(newest, self._last or 0)
        self._state.hear(max(0.0, self._clock() - claims.iat - CLOCK_LEEWAY_SECONDS))
        if self._state.is_current:
            self._known.set()

    async def _renew_keys(self) -> bool:
        now = self._timer()
        if self._keys_at is not None and now - self._keys_at < KEYS_PAUSE_SECONDS:
            return False
        keys = await self._plane.jwks()
        self._verifier.update_keys(keys)
        self._keys_at = now
        return True
