"""The candidate that the store names decides beside the live policy, in an OPA of its own.

Nothing here is on the way of a decision: whatever happens to the candidate is counted and logged, and that is all.
Of several processes of one control plane the one with the sidecar runs the candidate's OPA too; all ask it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import structlog

from controlplane.bundles import Trust
from controlplane.contracts.shadow import Shadow, ShadowCounts
from controlplane.history.engine import START_SECONDS
from controlplane.history.shadow import Beside
from controlplane.history.shadow_engine import ShadowEngine
from controlplane.hosting import EVERY_SECONDS, FOLDER, REMEDY, ShadowHost, Sleep
from controlplane.settings import Settings
from controlplane.storage import Store, StoreUnavailable

_log = structlog.get_logger("ztfm.shadow")


class Live(Protocol):
    """Where live decisions are made."""

    def accompany(self, shadow: Beside | None) -> None:
        """Show every decision to ``shadow`` from now on; none for nobody."""
        ...


class ShadowObserver(Protocol):
    """Counts what candidates decide."""

    def shadowed(self, counts: ShadowCounts) -> None:
        """So much was found, and is kept."""
        ...


async def follow_candidate(
    store: Store, serve: Callable[[Shadow], Awaitable[None]], sleep: Sleep = asyncio.sleep
) -> None:
    """Have ``serve`` run for the candidate that the store names, for ever; while the store is away, for the last one.

    Args:
        store: names it.
        serve: runs until it is cancelled, because another candidate or none is named.
        sleep: waits between two looks.
    """
    current: Shadow | None = None
    serving: asyncio.Task[None] | None = None
    try:
        while True:
            with suppress(StoreUnavailable):
                named = await store.shadows.current()
                if named != current or (serving is not None and serving.done()):
                    await _ended(serving)
                    current = named
                    serving = asyncio.create_task(_run(serve, named)) if named else None
            await sleep(EVERY_SECONDS)
    finally:
        await _ended(serving)


async def _run(serve: Callable[[Shadow], Awaitable[None]], shadow: Shadow) -> None:
    await serve(shadow)


class ShadowCompany:
    """Shows this process's decisions to the candidate, and tells the store what it would change.

    Args:
        store: keeps what is counted.
        folder: private folder of the candidate's OPA.
        live: shows its decisions.
        observer: counts.
        sleep: waits.
    """

    def __init__(
        self, store: Store, folder: Path, live: Live, observer: ShadowObserver, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._store = store
        self._folder = folder
        self._live = live
        self._observer = observer
        self._sleep = sleep

    async def serve(self, shadow: Shadow) -> None:
        """Show decisions to the candidate, as soon as it decides, until this is cancelled."""
        engine = ShadowEngine(self._folder, shadow)
        try:
            if not await self._decides(engine):
                # It is there and decides nothing: every decision is counted as failed, so that it is seen.
                _log.error("shadow_does_not_decide", shadow=shadow.id, remedy=REMEDY)
            await self._accompany(shadow, engine)
        finally:
            await engine.close()

    async def _decides(self, engine: ShadowEngine) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        while not await engine.decides():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _accompany(self, shadow: Shadow, engine: ShadowEngine) -> None:
        beside = Beside(engine)
        told = _Told(self._store, shadow.id, beside, self._observer)
        work = asyncio.create_task(beside.work(), name="shadow-work")
        self._live.accompany(beside)
        _log.info("shadow_decides", shadow=shadow.id, policy_revision=shadow.revision)
        try:
            while True:
                await self._sleep(EVERY_SECONDS)
                await told.tell()
                await engine.refresh()
        finally:
            self._live.accompany(None)
            await _ended(work)
            beside.end()
            await told.tell()


class _Told:
    """Tells the store what was found; what it could not be told is told first the next time."""

    def __init__(self, store: Store, shadow_id: str, beside: Beside, observer: ShadowObserver) -> None:
        self._store = store
        self._shadow_id = shadow_id
        self._beside = beside
        self._observer = observer
        self._untold = ShadowCounts()

    async def tell(self) -> None:
        """Add what was found to what all processes have found."""
        # With the store away no decision is made either, so there is little to keep.
        counts = self._untold or self._beside.take()
        try:
            await self._store.shadows.add(self._shadow_id, counts)
        except StoreUnavailable as error:
            if not self._untold:
                _log.warning("shadow_not_counted", error=str(error), remedy="it is tried again")
            self._untold = counts
            return
        self._untold = ShadowCounts()
        self._observer.shadowed(counts)


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is None:
        return
    # Asked a second time, it would be torn out of what it does to end in order.
    if not task.cancelling():
        task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("shadow_fault", error=type(error).__name__, remedy=REMEDY)


@asynccontextmanager
async def shadowing(
    settings: Settings,
    store: Store,
    trust: Trust,
    live: Live,
    observer: ShadowObserver,
    clock: Callable[[], float],
    *,
    hosts: bool,
) -> AsyncIterator[None]:
    """Have the store's candidate decide beside ``live`` until the context is left.

    Args:
        settings: name the layers, and the state folder.
        store: names the candidate, and keeps what is counted.
        trust: who may sign.
        live: shows its decisions.
        observer: counts.
        clock: Unix seconds.
        hosts: run the candidate's OPA here; of several processes of a control plane one does.
    """
    folder = settings.state_dir.resolve() / FOLDER
    serving = [ShadowCompany(store, folder, live, observer).serve]
    if hosts:
        serving.append(ShadowHost(store, trust, settings.layers, folder, clock).serve)
    tasks = [asyncio.create_task(follow_candidate(store, serve), name="shadowing") for serve in serving]
    try:
        yield
    finally:
        for task in tasks:
            await _ended(task)
