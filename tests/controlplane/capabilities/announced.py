"""The parts that revoke and announce, on a real store, with the hands of the clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controlplane.capabilities.broadcasting import Broadcast, Message
from controlplane.capabilities.events import EventSigner, EventVerifier
from controlplane.capabilities.revocations import RevocationState
from controlplane.capabilities.revoking import Revoker
from controlplane.contracts.events import SecurityEventClaims
from controlplane.jose.keys import SigningKey, jwks
from controlplane.storage import Store, open_store
from tests.clocks import Clock
from tests.controlplane.capabilities.conftest import ISSUER


@dataclass
class Counting:
    """Counts what is told."""

    told: Counter[str] = field(default_factory=Counter)
    listeners: int = 0

    def revoked(self, kind: str) -> None:
        self.told[kind] += 1

    def announced(self, kind: str) -> None:
        self.told[kind] += 1

    def listening(self, listeners: int) -> None:
        self.listeners = listeners

    def dropped(self) -> None:
        self.told["dropped"] += 1


class Replica:
    """One control plane's parts."""

    def __init__(self, store: Store, clock: Clock, key: SigningKey, most: int = 1024) -> None:
        self.store, self.clock, self.key, self.timer = store, clock, key, Clock(0.0)
        self.counting = Counting()
        self.wanted = asyncio.Event()
        self.state = RevocationState(clock, self.timer)
        self.revoker = Revoker(store.revocations, self.state, ISSUER, clock, self.counting, self.wanted.set)
        self.broadcast = Broadcast(
            store.events,
            lambda: store.revocations.live(clock(), ("capability", "subject", "key")),
            self.state,
            EventSigner(ISSUER, lambda: self.key),
            clock,
            self.timer,
            self.counting,
            self.wanted,
            most,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Replica"]:
        await self.broadcast.begin()
        task = asyncio.create_task(self.broadcast.run())
        try:
            yield self
        finally:
            self.broadcast.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def read(self, message: Message) -> SecurityEventClaims:
        """Return the claims of a message, which must hold."""
        sequence = message.sequence if message.kind == "event" else None
        found = EventVerifier(ISSUER, jwks([self.key])).verify(message.token, sequence)
        assert not isinstance(found, str), found
        return found


@asynccontextmanager
async def replicas(folder: Path, count: int = 1, **options: Any) -> AsyncIterator[list[Replica]]:
    """Several on one database, with one clock and one key."""
    clock, key = Clock(), SigningKey.generate()
    stores = [await open_store(f"sqlite+aiosqlite:///{folder / 'ztfm.db'}") for _ in range(count)]
    try:
        yield [Replica(store, clock, key, **options) for store in stores]
    finally:
        for store in stores:
            await store.close()
