"""Revocations in service: written, followed, pushed and listed by one set of parts that belong together."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from controlplane.capabilities.broadcasting import Broadcast
from controlplane.capabilities.events import EventSigner
from controlplane.capabilities.revocations import RevocationState
from controlplane.capabilities.revoking import Revoker
from controlplane.capabilities.statuspublishing import StatusLists
from controlplane.jose.keys import SigningKey
from controlplane.observing import Observer
from controlplane.storage import Store


class Announcing:
    """What revokes, and what says so.

    Args:
        store: keeps revocations and events.
        issuer: the control plane's public URL.
        current_key: returns the key that signs now.
        clock: Unix seconds.
        observer: counts.

    Attributes:
        revoker: revokes.
        broadcast: pushes to those who listen.
        status_lists: for those who poll.
    """

    def __init__(
        self,
        store: Store,
        issuer: str,
        current_key: Callable[[], SigningKey],
        clock: Callable[[], float],
        observer: Observer,
    ) -> None:
        wanted = asyncio.Event()
        state = RevocationState(clock, time.monotonic)
        self.revoker = Revoker(store.revocations, state, issuer, clock, observer, wanted.set)
        self.broadcast = Broadcast(
            store.events,
            lambda: store.revocations.live(clock(), ("capability", "subject", "key")),
            state,
            EventSigner(issuer, current_key),
            clock,
            time.monotonic,
            observer,
            wanted,
        )
        self.status_lists = StatusLists(store.revocations, store.decisions, issuer, current_key, clock)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Know what is void, and follow the events, for as long as the context is entered.

        Raises:
            StoreUnavailable: what is void cannot be read.
        """
        await self.broadcast.begin()
        following = asyncio.create_task(self.broadcast.run(), name="events")
        try:
            yield
        finally:
            self.broadcast.close()
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
