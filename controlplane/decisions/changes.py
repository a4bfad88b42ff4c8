"""Tell whoever looks at the control plane that something has changed: one look a second, however many follow.

What changed is not told, only of which kind it is: whoever follows asks again, and policy decides again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from controlplane.contracts.changes import CHANGES, ChangeKind
from controlplane.decisions.following import Sleep, again
from controlplane.storage.changes import Marks

POLL_SECONDS = 1.0
KEEPALIVE_SECONDS = 15.0
MAX_FOLLOWERS = 1024
MAX_PER_CALLER = 8

SPREAD_FOLLOWERS = 500.0
"""Where so many follow, they are told over a whole second and not at once: each of them asks again."""


class MarkStore(Protocol):
    """Sees that something has changed; `storage.changes` does."""

    async def marks(self) -> Marks:
        """Return how far everything is."""
        ...

    async def decided(self, since: int, until: int) -> bool:
        """Whether the log has decisions after one place, up to another, that count."""
        ...


class SessionStore(Protocol):
    """Knows sessions by their digests; `storage.sessions` does."""

    async def holding(self, digests: Collection[str], now: float) -> frozenset[str]:
        """Return those that have not ended."""
        ...


class ChangeObserver(Protocol):
    """Counts."""

    def following(self, followers: int) -> None:
        """So many follow now."""
        ...

    def changed(self, kind: ChangeKind) -> None:
        """Something of a kind has changed."""
        ...


class TooManyFollowers(Exception):  # noqa: N818 - a state, as callers see it
    """There is no room for another one, for another one of this caller, or the caller was shut out."""


@dataclass(eq=False)
class Follower:
    """One who follows.

    Attributes:
        caller: the subject behind it.
        since: as of when (Unix seconds) it may follow.
        until: when it must have ended, Unix seconds; none for no such time.
        session: digest of the session that it follows by; none for none.
        pending: what it has not been told of; however slow it is, it is told once of each kind.
    """

    caller: str
    since: float
    until: float | None = None
    session: str | None = None
    pending: set[ChangeKind] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut: bool = False

    def tell(self, kinds: Iterable[ChangeKind]) -> None:
        """Have it told."""
        self.pending.update(kinds)
        if self.pending:
            self.woken.set()

    def cut(self) -> None:
        """Let it go."""
        self.is_cut = True
        self.woken.set()


class ChangeFeed:
    """Looks at the store for changes of any replica, and tells its followers. While nobody follows, it does not look.

    While the store cannot be read nothing is told, and what was missed is told as soon as it can.

    Args:
        store: sees changes.
        sessions: knows which have ended.
        has_ended: whether a subject was shut out at a time (Unix seconds) or later.
        clock: Unix seconds.
        observer: counts.
        most: followers at most.
    """

    def __init__(
        self,
        store: MarkStore,
        sessions: SessionStore,
        has_ended: Callable[[str, float], bool],
        clock: Callable[[], float],
        observer: ChangeObserver,
        most: int = MAX_FOLLOWERS,
    ) -> None:
        self._store, self._sessions, self._has_ended = store, sessions, has_ended
        self._clock, self._observer, self._most = clock, observer, most
        self._followers: set[Follower] = set()
        self._callers: Counter[str] = Counter()
        self._known: Marks | None = None
        self._reading = asyncio.Lock()
        self._is_open = True

    def running(self, sleep: Sleep = asyncio.sleep) -> AbstractAsyncContextManager[None]:
        """Look for changes for as long as the context is entered."""
        return again("changes", "changes_not_followed", self.look, sleep, every=POLL_SECONDS)

    def close(self) -> None:
        """Let everybody go, and nobody in."""
        self._is_open = False
        for follower in list(self._followers):
            self._leave(follower)

    async def follow(
        self, follower: Follower, *, resumes: bool = False
    ) -> AsyncGenerator[tuple[ChangeKind, ...], None]:
        """Yield the kinds of what has changed since the last time, or none as a sign of life, until it is let go.

        The first that is yielded says that from now on nothing is missed.

        Args:
            follower: nobody's yet.
            resumes: it followed before and may have missed something, so that it is told of all kinds.

        Raises:
            TooManyFollowers: it cannot be let in.
            StoreUnavailable: changes cannot be seen now.
        """
        self._join(follower)
        try:
            async with self._reading:
                self._known = self._known or await self._store.marks()
            follower.tell(CHANGES if resumes else ())
            yield ()
            while (kinds := await self._next(follower)) is not None:
                yield kinds
        finally:
            self._leave(follower)

    async def look(self) -> None:
        """Look once for what has changed, and for who must not follow any more.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        if not self._followers:
            self._known = None
            return
        self._end_past()
        async with self._reading:
            changed = await self._changed()
        for kind in changed:
            self._observer.changed(kind)
        await self._end_sessions()
        for follower in self._followers:
            follower.tell(changed)

    async def _changed(self) -> list[ChangeKind]:
        known, found = self._known, await self._store.marks()
        if known is None:
            self._known = found
            return []
        is_decided = found.place > known.place and await self._store.decided(known.place, found.place)
        self._known = found
        others = {kind for kind, mark in found.by_kind.items() if mark != known.by_kind[kind]}
        return [kind for kind in CHANGES if kind in others or (kind == "decisions" and is_decided)]

    async def _next(self, follower: Follower) -> tuple[ChangeKind, ...] | None:
        try:
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                await follower.woken.wait()
        except TimeoutError:
            return ()
        if len(self._followers) > 1:
            spread = min(1.0, len(self._followers) / SPREAD_FOLLOWERS)
            await asyncio.sleep(spread * random.random())  # noqa: S311 - spreads load, hides nothing
        if follower.is_cut:
            return None
        follower.woken.clear()
        told = tuple(kind for kind in CHANGES if kind in follower.pending)
        follower.pending.clear()
        return told

    def _join(self, follower: Follower) -> None:
        is_full = len(self._followers) >= self._most or self._callers[follower.caller] >= MAX_PER_CALLER
        if not self._is_open or is_full or self._has_ended(follower.caller, follower.since):
            raise TooManyFollowers
        self._followers.add(follower)
        self._callers[follower.caller] += 1
        self._observer.following(len(self._followers))

    def _leave(self, follower: Follower) -> None:
        follower.cut()
        if follower not in self._followers:
            return
        self._followers.discard(follower)
        self._callers[follower.caller] -= 1
        if not self._callers[follower.caller]:
            del self._callers[follower.caller]
        self._observer.following(len(self._followers))

    def _end_past(self) -> None:
        now = self._clock()
        for one in list(self._followers):
            if (one.until is not None and one.until <= now) or self._has_ended(one.caller, one.since):
                self._leave(one)

    async def _end_sessions(self) -> None:
        by_session = {one.session for one in self._followers if one.session is not None}
        if not by_session:
            return
        holding = await self._sessions.holding(by_session, self._clock())
        for one in list(self._followers):
            if one.session in by_session - holding:
                self._leave(one)
