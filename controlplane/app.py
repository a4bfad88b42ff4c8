"""The composition root: the only place that knows all the parts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

import structlog
from aiohttp import web

from controlplane.announcing import Announcing
from controlplane.api import SERVICES, Services, build_edge
from controlplane.api.access import Access
from controlplane.api.idempotency import Repeats
from controlplane.api.paging import PageTokens
from controlplane.api.people import PERSON_CAUSES
from controlplane.api.rates import RateLimit
from controlplane.api.services import EDGE_CAUSES, EdgeLimits
from controlplane.audit import AuditLog
from controlplane.behavior import TrustModel
from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.keys import jwks
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.nonces import Nonces
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.refusals import Cause
from controlplane.capabilities.replay import ReplayCache
from controlplane.capabilities.sealing import Sealer
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.identity import Trust
from controlplane.decisions import Coalescer, Decider
from controlplane.decisions.candidates import Candidates
from controlplane.decisions.coalescing import CoalescingLimits
from controlplane.decisions.gathering import Gatherer
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.usage import UsageWindow
from controlplane.entry import admitting
from controlplane.identity.registry import Registry
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.observing import Observer
from controlplane.readiness import ReadinessProbe
from controlplane.rotation import build_keeper, follow_keys, open_keys
from controlplane.settings import Settings
from controlplane.sidecar import Sidecar, SidecarOptions, build_bundle, locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store, open_store
from controlplane.telemetry import Metrics
from controlplane.upkeep import keep_up

_log = structlog.get_logger("ztfm.app")

STORE: web.AppKey[Store] = web.AppKey("store", Store)
AUDIT: web.AppKey[AuditLog] = web.AppKey("audit", AuditLog)
OPA: web.AppKey[OpaAddress] = web.AppKey("opa", OpaAddress)
OBSERVER: web.AppKey[Observer] = web.AppKey("observer", Observer)
ACCESS: web.AppKey[Access] = web.AppKey("access", Access)
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
SIDECAR: web.AppKey[Sidecar] = web.AppKey("sidecar", Sidecar)

PROOFS_REMEMBERED = 500_000
"""Proofs of enrolled keys that are remembered for their 65 s: 7,600 requests a second, in at most 125 MB."""


class StartFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane cannot start; the message says why and what to do."""


def product_version() -> str:
    """The installed version of ztfm."""
    try:
        return version("ztfm")
    except PackageNotFoundError:
        return "0+unknown"


def build_app(
    settings: Settings, *, clock: Callable[[], float] = time.time, limits: EdgeLimits | None = None
) -> web.Application:
    """Return the control plane as an application whose start-up brings every part up, in order.

    Args:
        settings: how it runs.
        clock: Unix time in seconds.
        limits: how often callers may ask.
    """
    app = build_edge(product_version())
    metrics = Metrics(product_version(), (*get_args(Cause), *EDGE_CAUSES, *PERSON_CAUSES))
    app[METRICS] = metrics
    app[OBSERVER] = Observer(metrics, clock)
    app.cleanup_ctx.append(lambda app: _store(app, settings, clock))
    app.cleanup_ctx.append(lambda app: _access(app, settings, clock))
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.append(_audit)
    app.cleanup_ctx.append(lambda app: _opa(app, settings))
    app.cleanup_ctx.append(lambda app: _services(app, settings, clock, limits or EdgeLimits()))
    return app


async def _store(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await open_store(settings.resolved_database_url)
    app[STORE] = store
    upkeep = asyncio.create_task(keep_up(store, settings.decision_days, clock), name="upkeep")
    try:
        yield
    finally:
        await _end(upkeep)
        await store.close()


async def _access(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    async with admitting(settings, app[STORE], app[METRICS], clock) as access:
        app[ACCESS] = access
        yield


async def _audit(app: web.Application) -> AsyncIterator[None]:
    async with AuditLog(app[STORE].decisions, app[OBSERVER]) as audit:
        app[AUDIT] = audit
        yield


async def _opa(app: web.Application, settings: Settings) -> AsyncIterator[None]:
    if settings.opa_mode == "external":
        app[OPA] = _external(settings)
        yield
        return
    opa = await asyncio.to_thread(locate_opa, os.environ)
    folder = settings.state_dir.resolve() / "opa"
    bundle = folder / "bundle.tar.gz"
    revision = await asyncio.to_thread(build_bundle, opa, settings.policies or product_folder("policies"), bundle)
    options = SidecarOptions(opa, folder, bundle, product_folder("opa") / "authz.rego", settings.opa_tcp)
    sidecar = app[SIDECAR] = Sidecar(options, on_restart=app[OBSERVER].restarted)
    try:
        await sidecar.start()
        shown = ".".join(map(str, opa.version))
        _log.info("sidecar_started", opa=str(opa.path), version=shown, policy_revision=revision)
        app[OPA] = OpaAddress(token=sidecar.token, socket=options.socket)
        yield
    finally:
        await sidecar.stop()


async def _end_streams(app: web.Application) -> None:
    if SERVICES in app:
        app[SERVICES].broadcast.close()


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _external(settings: Settings) -> OpaAddress:
    path = settings.opa_token_file
    try:
        token = path.read_text().strip() if path else ""
    except OSError as error:
        raise StartFailed(f"ZTFM_OPA_TOKEN_FILE: {path} cannot be read: {error.strerror}") from None
    if not token:
        raise StartFailed(f"ZTFM_OPA_TOKEN_FILE: {path} is empty")
    return OpaAddress(token=token, socket=settings.opa_socket, url=settings.opa_url or "http://opa.invalid")


async def _services(
    app: web.Application, settings: Settings, clock: Callable[[], float], edge: EdgeLimits
) -> AsyncIterator[None]:
    transport = OpaTransport(app[OPA])
    limits = CoalescingLimits(queue=settings.queue, deadline_seconds=settings.opa_deadline_seconds)
    engine = Coalescer(transport, app[OBSERVER], clock=time.monotonic, limits=limits)
    watch: asyncio.Task[None] | None = None
    rotation: asyncio.Task[None] | None = None
    try:
        path = settings.resolved_sealing_key_file
        sealer = Sealer.load_or_create(path)
        announcing = Announcing(
            app[STORE], settings.resolved_public_url, lambda: keys.ring.current(), clock, app[OBSERVER]
        )
        keys = build_keeper(settings, app[STORE], sealer, clock, announcing.revoker)
        await open_keys(keys, settings.state_dir)
        probe = ReadinessProbe(
            transport,
            app[STORE].ping,
            lambda: _first_fault(keys.examine(), sealer.examine(path)),
            app[OBSERVER].revision,
            clock=time.monotonic,
        )
        app[SERVICES] = _wire(app, settings, clock, engine, keys, announcing, sealer, probe, edge)
        rotation = asyncio.create_task(follow_keys(keys, app[OBSERVER]), name="rotation")
        await _await_ready(probe, settings.start_seconds)
        on_hung = app[SIDECAR].kill if SIDECAR in app else lambda: None
        watch = asyncio.create_task(probe.watch(app[OBSERVER].ready, on_hung), name="watch")
        async with announcing.following():
            yield
    finally:
        await _end(watch)
        await _end(rotation)
        await engine.close()
        await transport.close()


def _wire(
    app: web.Application,
    settings: Settings,
    clock: Callable[[], float],
    engine: Coalescer,
    keys: KeyKeeper,
    announcing: Announcing,
    sealer: Sealer,
    probe: ReadinessProbe,
    edge: EdgeLimits,
) -> Services:
    store = app[STORE]
    rounds = RoundBook(store.rounds, clock)
    issuer = settings.resolved_public_url
    verifier = CapabilityVerifier(jwks(()), issuer, None, clock, ReplayCache(clock), standings=announcing.revoker)
    keys.follow(lambda found: verifier.update_keys(jwks(found)))
    return Services(
        public_url=issuer,
        access=app[ACCESS],
        newcomer_trust=Trust(score=settings.newcomer_trust, observations=0),
        federation=settings.federation,
        clock=clock,
        decider=Decider(engine, app[AUDIT], app[OBSERVER], clock=clock, timer=time.perf_counter),
        gatherer=Gatherer(rounds, UsageWindow(clock), clock),
        rounds=rounds,
        registry=Registry(store, clock, announcer=announcing.revoker),
        tokens=EnrolmentTokens(store.tokens, clock),
        behaviour=TrustModel(),
        ledger=store.capabilities,
        records=store.decisions,
        log=app[AUDIT],
        proofs=ProofVerifier(clock, capacity=PROOFS_REMEMBERED),
        newcomers=ProofVerifier(clock),
        minter=Minter(keys.ring.current, issuer, clock),
        capabilities=verifier,
        access_tokens=AccessTokens(
            keys.ring.current, keys.ring.verifying, issuer, clock, announcing.revoker.standing_of
        ),
        nonces=Nonces(clock),
        nonce_mode=settings.dpop_nonce,
        keys=keys,
        revoker=announcing.revoker,
        broadcast=announcing.broadcast,
        status_lists=announcing.status_lists,
        jwks=lambda: jwks(keys.ring.verifying()),
        readiness=probe,
        metrics=app[METRICS],
        callers=RateLimit(time.monotonic, rate=edge.rate, burst=edge.burst),
        strangers=RateLimit(time.monotonic, rate=edge.stranger_rate, burst=edge.stranger_burst),
        repeats=Repeats(
            store.idempotency,
            sealer,
            clock,
            lambda outcome: app[METRICS].repeats.labels(outcome).inc(),
        ),
        candidates=Candidates(engine, store.devices),
        pages=PageTokens(sealer, clock),
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
