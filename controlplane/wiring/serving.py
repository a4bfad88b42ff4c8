"""The parts that answer requests: made, waited for until they can decide, kept in step with the store, and ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from controlplane.announcing import Announcing
from controlplane.api import SERVICES, Services
from controlplane.api.services import EdgeLimits
from controlplane.decisions.engine import BatchTransport
from controlplane.parts import FOLLOWER, METRICS, OBSERVER, PUBLISHER, SIDECAR, STORE, StartFailed
from controlplane.readiness import ReadinessProbe
from controlplane.rotation import follow_keys
from controlplane.settings import Settings
from controlplane.sharing.counted import Part, own
from controlplane.wiring.capabilities import open_signing
from controlplane.wiring.common import Common, Signing
from controlplane.wiring.engine import build_engine, build_transport
from controlplane.wiring.policies import Standing, wire_standing
from controlplane.wiring.services import wire
from controlplane.wiring.sharing import share
from controlplane.wiring.tasks import end


async def serving(
    app: web.Application, settings: Settings, clock: Callable[[], float], edge: EdgeLimits, part: Part | None
) -> AsyncIterator[None]:
    """Bring up what routes ask, and take it down.

    Args:
        app: holds what was started before, and the services from here on.
        settings: how it runs.
        clock: Unix seconds.
        edge: how often callers may ask.
        part: what there is of other workers; none where it is alone.
    """
    transport = build_transport(app, settings)
    engine = build_engine(app, settings, transport)
    counted = own(clock) if part is None else part.counted
    shared = share(settings, app[STORE], app[METRICS])
    common = Common(settings, edge, part, clock, app[STORE], app[METRICS], app[OBSERVER], engine, counted, shared)
    watch: asyncio.Task[None] | None = None
    rotation: asyncio.Task[None] | None = None
    try:
        signing = await open_signing(common)
        standing = wire_standing(settings, app[FOLLOWER], app[PUBLISHER], app[OBSERVER], clock)
        probe = _probe(app, common, transport, signing, standing)
        services = app[SERVICES] = wire(app, common, signing, probe, standing)
        rotation = asyncio.create_task(follow_keys(signing.keys, app[OBSERVER]), name="rotation")
        await _await_ready(probe, settings.start_seconds)
        on_hung = app[SIDECAR].kill if SIDECAR in app else lambda: None
        watch = asyncio.create_task(probe.watch(app[OBSERVER].ready, on_hung), name="watch")
        async with _in_step(services, signing.announcing):
            yield
    finally:
        await end(watch)
        await end(rotation)
        if SERVICES in app:
            app[SERVICES].confidentiality.attestation.verifiers.close()
        await engine.close()
        await transport.close()


@asynccontextmanager
async def _in_step(services: Services, announcing: Announcing) -> AsyncIterator[None]:
    """Follow what other replicas keep; what is followed last ends first."""
    async with (
        announcing.following(),
        services.interventions.excepted.following(),
        services.interventions.held.following(),
        services.segmentation.attached.following(),
        services.training.rollbacks.following(),
        services.changes.running(),
        services.behaviour.requests,
    ):
        yield


def _probe(
    app: web.Application, common: Common, transport: BatchTransport, signing: Signing, standing: Standing
) -> ReadinessProbe:
    path = common.settings.resolved_sealing_key_file
    return ReadinessProbe(
        transport,
        common.store.ping,
        lambda: _first_fault(signing.keys.examine(), signing.sealer.examine(path)),
        common.observer.revision,
        policies=standing,
        published_at=app[FOLLOWER].times.at,
        now=common.clock,
        clock=time.monotonic,
        engine=common.settings.engine,
    )


def _first_fault(*findings: str) -> str:
    return next((finding for finding in findings if finding != "ok"), "ok")


async def _await_ready(probe: ReadinessProbe, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        state = await probe()
        if state.ready:
            return
        if time.monotonic() >= deadline:
            failing = ", ".join(f"{name}: {what}" for name, what in state.checks.items() if what != "ok")
            raise StartFailed(f"not ready after {seconds:g} s ({failing}); run 'ztfm doctor'")
        await asyncio.sleep(0.05)
