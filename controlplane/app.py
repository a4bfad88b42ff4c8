"""The composition root: the parts that are started, in order, and ended in the opposite one.

What each is made of, `controlplane.wiring` says; under which key it is found, `controlplane.parts` does.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

from aiohttp import web

from controlplane.api import SERVICES, build_edge
from controlplane.api.people import PERSON_CAUSES
from controlplane.api.services import EDGE_CAUSES, EdgeLimits
from controlplane.audit import AuditLog
from controlplane.bundles import PolicyKeyError
from controlplane.capabilities.refusals import Cause
from controlplane.embedding import build_without_opa
from controlplane.entry import admitting
from controlplane.identifying import OrganisationInvalid, identifying
from controlplane.identity.ledgers.plugging import LedgerUnusable
from controlplane.identity.pinned import FoundersInvalid
from controlplane.identity.resolving.plugging import MethodUnusable
from controlplane.observing import Observer
from controlplane.parts import (
    ACCESS,
    AUDIT,
    HEADS,
    IDENTIFYING,
    METRICS,
    OBSERVER,
    PUBLISHER,
    RESOLVER,
    STORE,
    TRACING,
    TRUST,
    StartFailed,
)
from controlplane.releases.errors import NothingPublished
from controlplane.releases.seeding import Build
from controlplane.releasing import build_base, build_publisher, build_seeding, trust_of
from controlplane.resolving import build_resolver
from controlplane.settings import Settings
from controlplane.shadowing import shadowing
from controlplane.sharing.counted import Part
from controlplane.storage import open_store
from controlplane.telemetry import Metrics
from controlplane.tracing import TracingMissing, build_tracing, recording
from controlplane.transparency.notes import NoteInvalid
from controlplane.wiring.engine import embedded, opa
from controlplane.wiring.serving import serving
from controlplane.wiring.upkeep import upkeep
from controlplane.witnessing import WitnessesInvalid, keeping_heads


def product_version() -> str:
    """The installed version of ztfm."""
    try:
        return version("ztfm")
    except PackageNotFoundError:
        return "0+unknown"


def build_app(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    limits: EdgeLimits | None = None,
    part: Part | None = None,
    build: Build | None = None,
) -> web.Application:
    """Return the control plane as an application whose start-up brings every part up, in order.

    Args:
        settings: how it runs.
        clock: Unix time in seconds.
        limits: how often callers may ask.
        part: what it has of the others, where it is one of several workers; none where it is alone.
        build: builds the policies of the installation, where they are released for the first time; none for the way
            of the engine.

    Raises:
        StartFailed: traces are wanted, and what records them is not installed.
    """
    build = build or (build_without_opa if settings.engine == "embedded" else build_base)
    try:
        tracing = build_tracing(settings, product_version())
    except TracingMissing as error:
        raise StartFailed(str(error)) from None
    app = build_edge(product_version(), tracing, console=settings.console == "on")
    app[TRACING] = tracing
    app[METRICS] = Metrics(product_version(), (*get_args(Cause), *EDGE_CAUSES, *PERSON_CAUSES))
    app[OBSERVER] = Observer(app[METRICS], clock)
    engine = embedded if settings.engine == "embedded" else opa
    edge = limits or EdgeLimits(rate=settings.caller_rate, burst=2 * settings.caller_rate)
    app.cleanup_ctx.extend(
        (
            lambda _: recording(tracing),
            lambda app: _store(app, settings),
            lambda app: _access(app, settings, clock, part is None),
            _audit,
            lambda app: _heads(app, settings, clock),
            lambda app: _identifying(app, settings, clock),
            lambda app: _policies(app, settings, clock, build if part is None else None),
            lambda app: engine(app, settings, clock),
            lambda app: _resolver(app, settings, clock),
            lambda app: serving(app, settings, clock, edge, part),
            lambda app: _shadow(app, settings, clock, part is None),
        )
    )
    if part is None:
        # Of several workers, the parent forgets for all.
        app.cleanup_ctx.append(lambda app: upkeep(app, settings, clock))
    app.on_shutdown.append(_end_streams)
    return app


async def _store(app: web.Application, settings: Settings) -> AsyncIterator[None]:
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    app[METRICS].records.free_bytes.set_function(lambda: shutil.disk_usage(settings.state_dir).free)
    store = app[STORE] = await open_store(settings.resolved_database_url, spans=app[TRACING])
    try:
        yield
    finally:
        await store.close()


async def _access(
    app: web.Application, settings: Settings, clock: Callable[[], float], is_first: bool
) -> AsyncIterator[None]:
    async with admitting(settings, app[STORE], app[METRICS], clock, offers=is_first) as access:
        app[ACCESS] = access
        yield


async def _audit(app: web.Application) -> AsyncIterator[None]:
    async with AuditLog(app[STORE].decisions, app[OBSERVER], spans=app[TRACING]) as audit:
        app[AUDIT] = audit
        app[METRICS].records.queue_length.set_function(lambda: audit.waiting)
        yield


async def _heads(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    try:
        async with keeping_heads(settings, app[STORE], app[OBSERVER], clock) as heads:
            app[HEADS] = heads
            yield
    except (NoteInvalid, WitnessesInvalid) as error:
        raise StartFailed(str(error)) from None


async def _identifying(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    try:
        async with identifying(settings, app[STORE], app[HEADS], app[OBSERVER], clock) as found:
            app[IDENTIFYING] = found
            yield
    except (OrganisationInvalid, FoundersInvalid, LedgerUnusable) as error:
        raise StartFailed(str(error)) from None


async def _policies(
    app: web.Application, settings: Settings, clock: Callable[[], float], build: Build | None
) -> AsyncIterator[None]:
    observer, store = app[OBSERVER], app[STORE]
    try:
        trust = app[TRUST] = await asyncio.to_thread(trust_of, settings)
        app[PUBLISHER] = build_publisher(store, trust, clock, observer)
        if build is not None:
            await build_seeding(settings, store, trust, clock, observer, build).seed()
    except (PolicyKeyError, NothingPublished) as error:
        raise StartFailed(str(error)) from None
    yield


async def _resolver(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    try:
        resolver = app[RESOLVER] = build_resolver(
            settings,
            clock,
            whose=lambda: app[SERVICES].identity.organisation if SERVICES in app else None,
            observe=app[METRICS].identity.did_resolved,
        )
    except MethodUnusable as error:
        raise StartFailed(str(error)) from None
    try:
        yield
    finally:
        await resolver.close()


async def _shadow(
    app: web.Application, settings: Settings, clock: Callable[[], float], hosts: bool
) -> AsyncIterator[None]:
    live = app[SERVICES].decider
    async with shadowing(settings, app[STORE], app[TRUST], live, app[OBSERVER], clock, hosts=hosts):
        yield


async def _end_streams(app: web.Application) -> None:
    if SERVICES in app:
        app[SERVICES].revocation.broadcast.close()
        app[SERVICES].segmentation.tables.close()
        app[SERVICES].changes.close()
