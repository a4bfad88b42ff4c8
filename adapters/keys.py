"""The issuer's published keys at an enforcement point: fresh, through rotation and withdrawal, and not trusted forever.

Three times rule them. While a set is *fresh* (its ``Cache-Control``), it is used as it is. After that it is fetched
anew, and used meanwhile. When the issuer cannot be reached, the last set is *trusted* for a stated time and then no
more: a withdrawn key must not live on behind a cut cable. An unknown ``kid`` fetches at once, but not more often
than every few seconds, for anybody can write one into a token.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from adapters.errors import ControlPlaneError
from adapters.transport import Transport
from adapters.wire import KEYS_PATH, PublishedKeys, read_keys_document, read_problem
from controlplane.capabilities.errors import KeySetError
from controlplane.capabilities.keyset import read_keys

TRUSTED_SECONDS = 900.0
"""How long the last set is trusted while its issuer cannot be reached."""

PAUSE_SECONDS = 5.0
"""Between two fetches, whatever asks for them."""

LONGEST_FRESH_SECONDS = 300.0
"""A set is fetched anew after this time, however long its issuer would let it be kept."""

KeyState = Literal["fresh", "stale", "lost"]
"""``lost`` is trusted no more: every capability is refused."""

_log = logging.getLogger("ztfm.keys")


@dataclass
class KeyClock:
    """When to fetch keys and how long to trust them; pure, on a clock that never steps back.

    Args:
        trusted_seconds: how long a set is trusted after it was fetched last.
        pause_seconds: between two fetches.
        longest_fresh_seconds: bounds the cache life that the issuer states.
    """

    trusted_seconds: float = TRUSTED_SECONDS
    pause_seconds: float = PAUSE_SECONDS
    longest_fresh_seconds: float = LONGEST_FRESH_SECONDS
    _asked_at: float | None = None
    _came_at: float | None = None
    _fresh_until: float = 0.0

    def state(self, now: float) -> KeyState:
        """Return how the keys stand."""
        if self._came_at is None or now - self._came_at >= self.trusted_seconds:
            return "lost"
        return "fresh" if now < self._fresh_until else "stale"

    def may_ask(self, now: float) -> bool:
        """Whether enough time has passed since the issuer was asked last."""
        return self._asked_at is None or now - self._asked_at >= self.pause_seconds

    def asked(self, now: float) -> None:
        """The issuer is asked."""
        self._asked_at = now

    def came(self, now: float, fresh_seconds: float) -> None:
        """A set came that may be kept for ``fresh_seconds``; less than the pause makes no difference."""
        self._came_at = now
        self._fresh_until = now + min(max(fresh_seconds, self.pause_seconds), self.longest_fresh_seconds)


class KeySource:
    """Keeps one issuer's keys for an enforcement point on one event loop.

    Args:
        fetch: returns the published set, as `adapters.client.ControlPlane.jwks` does.
        on_change: is given each set that came and can be used.
        trusted_seconds: how long the last set is trusted while its issuer cannot be reached.
        timer: seconds, never stepping back.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Any]]],
        on_change: Callable[[Mapping[str, Any]], None],
        *,
        trusted_seconds: float = TRUSTED_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._on_change = on_change
        self._timer = timer
        self._clock = KeyClock(trusted_seconds)
        self._fetching: asyncio.Task[bool] | None = None

    async def ready(self) -> bool:
        """Return whether the keys can be relied on now; waits for a fetch only when there are none to rely on."""
        state = self._clock.state(self._timer())
        if state == "fresh":
            return True
        if not self._clock.may_ask(self._timer()) and self._fetching is None:
            return state != "lost"
        fetching = self._started()
        if state == "lost":
            await asyncio.shield(fetching)
        return self._clock.state(self._timer()) != "lost"

    async def renew(self) -> bool:
        """Fetch the keys for a ``kid`` that nobody knows, and return whether a set came since it was met."""
        if self._fetching is None and not self._clock.may_ask(self._timer()):
            return False
        return await asyncio.shield(self._started())

    async def close(self) -> None:
        """End a fetch that is under way."""
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    def _started(self) -> asyncio.Task[bool]:
        if self._fetching is None:
            self._clock.asked(self._timer())
            self._fetching = asyncio.create_task(self._fetched(), name="ztfm-keys")
        return self._fetching

    async def _fetched(self) -> bool:
        try:
            found = await self._fetch()
            read_keys(found)
        except (ControlPlaneError, KeySetError) as error:
            _log.warning("the issuer's keys could not be had, those in use stay for a while: %s", error)
            return False
        else:
            fresh = found.fresh_seconds if isinstance(found, PublishedKeys) else 0.0
            self._clock.came(self._timer(), fresh)
            self._on_change(found)
            return True
        finally:
            self._fetching = None


def published_at(issuer: str, transport: Transport) -> Callable[[], Awaitable[PublishedKeys]]:
    """Return what fetches an issuer's keys without saying who asks: they are for everybody."""

    async def fetch() -> PublishedKeys:
        """Return the set as it is published now."""
        answer = await transport.send("GET", issuer + KEYS_PATH, None, dict)
        if answer.status != 200:
            raise read_problem(answer.status, answer.body)
        return read_keys_document(answer.body, answer.headers.get("Cache-Control", ""))

    return fetch
