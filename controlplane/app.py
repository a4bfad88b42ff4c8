"""The composition root: the only place that knows all the parts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, get_args

import structlog
from aiohttp import web

from controlplane.announcing import Announcing
from controlplane.api import SERVICES, Services, build_edge
from controlplane.api.access import Access
from controlplane.api.idempotency import KEYS_A_SECOND, KEYS_AT_ONCE, Repeats
from controlplane.api.paging import PageTokens
from controlplane.api.people import PERSON_CAUSES
from controlplane.api.rates import RateLimit
from controlplane.api.services import EDGE_CAUSES, EdgeLimits
from controlplane.audit import AuditLog
from controlplane.audit.heads import Heads
from controlplane.bundles import PolicyKeyError
from controlplane.bundles import Trust as Signers
from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.nonces import Nonces
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.refusals import Cause
from controlplane.capabilities.sealing import Sealer
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.identity import Trust
from controlplane.contracts.policies import PolicyStanding
from controlplane.decisions import Coalescer, Decider
from controlplane.decisions.alerts import AlertDesk
from controlplane.decisions.behaviour_terms import BehaviourPolicy
from controlplane.decisions.candidates import Candidates
from controlplane.decisions.coalescing import CoalescingLimits
from controlplane.decisions.exceptions import CurrentExceptions
from controlplane.decisions.gathering import Gatherer
from controlplane.decisions.holds import CurrentHolds
from controlplane.decisions.issuers import IssuerPolicy
from controlplane.decisions.log_policy import LogPolicy
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.decisions.provenance import Provenance
from controlplane.decisions.responding import Responder
from controlplane.decisions.rollbacks import RollbackBook
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.usage import UsageWindow
from controlplane.decisions.watching import RequestWatch, SignalWatch
from controlplane.embedding import build_without_opa, embedded_places, embedded_transport
from controlplane.entry import admitting
from controlplane.identifying import Identifying, OrganisationInvalid, identifying, keep_identities
from controlplane.identity.credentials.manufacturers import Manufacturers, ManufacturersInvalid, load_manufacturers
from controlplane.identity.credentials.presented import Credentials
from controlplane.identity.ledgers.plugging import LedgerUnusable
from controlplane.identity.pinned import FoundersInvalid
from controlplane.identity.registry import Registry
from controlplane.identity.resolving import Resolver
from controlplane.identity.resolving.plugging import MethodUnusable
from controlplane.identity.responding import Responding
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.jose.keys import jwks
from controlplane.observing import Observer
from controlplane.readiness import ReadinessProbe
from controlplane.releases.errors import NothingPublished
from controlplane.releases.following import Follower
from controlplane.releases.publishing import Publisher
from controlplane.releases.seeding import Build
from controlplane.releases.shadows import ShadowBook
from controlplane.releases.standing import latest, stand
from controlplane.releasing import (
    build_base,
    build_publisher,
    build_seeding,
    following,
    keys_for_opa,
    places,
    trust_of,
)
from controlplane.resolving import build_resolver
from controlplane.rotation import build_keeper, follow_keys, open_keys
from controlplane.settings import Settings
from controlplane.shadowing import shadowing
from controlplane.sharing.counted import Part, own
from controlplane.sidecar import Sidecar, SidecarOptions, locate_opa
from controlplane.sidecar.folders import beside
from controlplane.storage import Store, open_store
from controlplane.telemetry import Metrics
from controlplane.telemetry.tracing import Tracing
from controlplane.tracing import TracingMissing, build_tracing, or_untraced, recording
from controlplane.transparency.notes import NoteInvalid
from controlplane.upkeep import keep_up, let_back
from controlplane.witnessing import WitnessesInvalid, keep_signing, keeping_heads

if TYPE_CHECKING:
    from controlplane.decisions.embedded import EmbeddedTransport

_log = structlog.get_logger("ztfm.app")

STORE: web.AppKey[Store] = web.AppKey("store", Store)
AUDIT: web.AppKey[AuditLog] = web.AppKey("audit", AuditLog)
HEADS: web.AppKey[Heads] = web.AppKey("heads", Heads)
OPA: web.AppKey[OpaAddress] = web.AppKey("opa", OpaAddress)
OBSERVER: web.AppKey[Observer] = web.AppKey("observer", Observer)
ACCESS: web.AppKey[Access] = web.AppKey("access", Access)
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
IDENTIFYING: web.AppKey[Identifying] = web.AppKey("identifying", Identifying)
RESOLVER: web.AppKey[Resolver] = web.AppKey("resolver", Resolver)
LOG_POLICY: web.AppKey[LogPolicy] = web.AppKey("log_policy", LogPolicy)
TRUST: web.AppKey[Signers] = web.AppKey("trust", Signers)
PUBLISHER: web.AppKey[Publisher] = web.AppKey("publisher", Publisher)
FOLLOWER: web.AppKey[Follower] = web.AppKey("follower", Follower)
TRACING: web.AppKey[Tracing | None] = web.AppKey("tracing")
SIDECAR: web.AppKey[Sidecar] = web.AppKey("sidecar", Sidecar)
EMBEDDED: "web.AppKey[EmbeddedTransport]" = web.AppKey("embedded")


class StartFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane cannot start; the message says why and what to do."""


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
    app = build_edge(product_version(), tracing)
    app[TRACING] = tracing
    app.cleanup_ctx.append(lambda _: recording(tracing))
    metrics = Metrics(product_version(), (*get_args(Cause), *EDGE_CAUSES, *PERSON_CAUSES))
    app[METRICS] = metrics
    app[OBSERVER] = Observer(metrics, clock)
    app.cleanup_ctx.append(lambda app: _store(app, settings))
    app.cleanup_ctx.append(lambda app: _access(app, settings, clock, part is None))
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.append(_audit)
    app.cleanup_ctx.append(lambda app: _heads(app, settings, clock))
    app.cleanup_ctx.append(lambda app: _identifying(app, settings, clock))
    app.cleanup_ctx.append(lambda app: _policies(app, settings, clock, build if part is None else None))
    engine = _embedded if settings.engine == "embedded" else _opa
    app.cleanup_ctx.append(lambda app: engine(app, settings, clock))
    app.cleanup_ctx.append(lambda app: _resolver(app, settings, clock))
    app.cleanup_ctx.append(lambda app: _services(app, settings, clock, limits or EdgeLimits(), part))
    app.cleanup_ctx.append(lambda app: _shadow(app, settings, clock, part is None))
    if part is None:
        # Of several workers, the parent forgets for all.
        app.cleanup_ctx.append(lambda app: _upkeep(app, settings, clock))
    return app


async def _store(app: web.Application, settings: Settings) -> AsyncIterator[None]:
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
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
        app[METRICS].audit_queue_length.set_function(lambda: audit.waiting)
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


async def _resolver(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    try:
        resolver = app[RESOLVER] = build_resolver(
            settings,
            clock,
            whose=lambda: app[SERVICES].organisation if SERVICES in app else None,
            observe=app[METRICS].did_resolved,
        )
    except MethodUnusable as error:
        raise StartFailed(str(error)) from None
    try:
        yield
    finally:
        await resolver.close()


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


async def _opa(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    external = settings.opa_mode == "external"
    sidecar = None if external else await _sidecar(app, settings)
    offer = places(settings) if sidecar is None else places(settings, sidecar.offer)
    follower = app[FOLLOWER] = Follower(app[STORE].releases, app[TRUST], settings.layers, offer, clock, app[OBSERVER])
    async with following(follower):
        _require_taken(follower)
        if sidecar is None:
            app[OPA] = _external(settings)
            yield
            return
        try:
            await sidecar.start()
            app[OPA] = OpaAddress(token=sidecar.token, socket=sidecar.options.socket)
            yield
        finally:
            await sidecar.stop()


async def _embedded(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    transport = app[EMBEDDED] = embedded_transport(settings)
    offer = embedded_places(settings, transport)
    follower = app[FOLLOWER] = Follower(app[STORE].releases, app[TRUST], settings.layers, offer, clock, app[OBSERVER])
    try:
        async with following(follower):
            _require_taken(follower)
            _log.warning(
                "engine_embedded",
                layers=list(follower.taken),
                remedy="no OPA decides: policies run as WebAssembly in this process; see docs/embedded.md",
            )
            yield
    finally:
        # Where what comes after it did not start, nobody else does.
        await transport.close()


def _require_taken(follower: Follower) -> None:
    for layer, refusal in follower.refusals.items():
        if layer not in follower.taken:
            raise StartFailed(
                f"what is released for {layer} is refused ({refusal.reason}: {refusal.detail}). Give this machine the "
                "key that signed it (ZTFM_POLICY_KEY_FILE), trust that key (ZTFM_POLICY_TRUST_DIR), or publish others "
                "that are trusted here with `ztfm policy publish`"
            )


async def _sidecar(app: web.Application, settings: Settings) -> Sidecar:
    opa = await asyncio.to_thread(locate_opa, os.environ)
    _log.info("opa_found", opa=str(opa.path), version=".".join(map(str, opa.version)))
    keys = keys_for_opa(app[TRUST], settings.layers)
    folder = settings.state_dir.resolve() / "opa"
    options = SidecarOptions(opa, folder, beside(), settings.opa_tcp, settings.layers, keys)
    sidecar = app[SIDECAR] = Sidecar(options, on_restart=app[OBSERVER].restarted)
    return sidecar


async def _upkeep(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    store, services = app[STORE], app[SERVICES]
    upkeep = asyncio.create_task(
        keep_up(store, settings.decision_days, app[LOG_POLICY].retention, clock), name="upkeep"
    )
    releases = asyncio.create_task(
        let_back(store, services.registry, services.responder, app[OBSERVER]), name="releases"
    )
    signing = asyncio.create_task(keep_signing(app[HEADS], settings.log_seconds), name="log")
    responds = Responding(settings.ledger, services.decider, services.registry, app[OBSERVER], clock)
    identities = asyncio.create_task(
        keep_identities(app[IDENTIFYING], responds, settings.ledger_seconds), name="identities"
    )
    try:
        yield
    finally:
        await _end(upkeep)
        await _end(releases)
        await _end(signing)
        await _end(identities)


async def _shadow(
    app: web.Application, settings: Settings, clock: Callable[[], float], hosts: bool
) -> AsyncIterator[None]:
    live = app[SERVICES].decider
    async with shadowing(settings, app[STORE], app[TRUST], live, app[OBSERVER], clock, hosts=hosts):
        yield


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
    app: web.Application, settings: Settings, clock: Callable[[], float], edge: EdgeLimits, part: Part | None
) -> AsyncIterator[None]:
    tracing = or_untraced(app[TRACING])
    transport = (
        app[EMBEDDED] if EMBEDDED in app else OpaTransport(app[OPA], layers=settings.layers[1:], tracing=tracing)
    )
    limits = CoalescingLimits(queue=settings.queue, deadline_seconds=settings.opa_deadline_seconds)
    engine = Coalescer(transport, app[OBSERVER], clock=time.monotonic, limits=limits, tracing=tracing)
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
            policies=lambda revision: _standing(app, settings, revision, clock()),
            published_at=app[FOLLOWER].times.at,
            now=clock,
            clock=time.monotonic,
            engine=settings.engine,
        )
        app[SERVICES] = _wire(app, settings, clock, engine, keys, announcing, sealer, probe, edge, part)
        rotation = asyncio.create_task(follow_keys(keys, app[OBSERVER]), name="rotation")
        await _await_ready(probe, settings.start_seconds)
        on_hung = app[SIDECAR].kill if SIDECAR in app else lambda: None
        watch = asyncio.create_task(probe.watch(app[OBSERVER].ready, on_hung), name="watch")
        async with (
            announcing.following(),
            app[SERVICES].excepted.following(),
            app[SERVICES].held.following(),
            app[SERVICES].rollbacks.following(),
            app[SERVICES].requests,
        ):
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
    part: Part | None,
) -> Services:
    store = app[STORE]
    counted = own(clock) if part is None else part.counted
    log_policy = app[LOG_POLICY] = LogPolicy(engine, app[OBSERVER], clock=time.monotonic)
    rounds = RoundBook(store.rounds, clock)
    excepted = CurrentExceptions(store.exceptions, app[OBSERVER].exception_uses, app[OBSERVER], clock, time.monotonic)
    held = CurrentHolds(store.holds, app[OBSERVER], clock, time.monotonic)
    newcomer = Trust(score=settings.newcomer_trust, observations=0)
    registry = Registry(store, clock, announcer=announcing.revoker, newcomer=newcomer)
    rollbacks = RollbackBook(store.rollbacks, app[OBSERVER], clock)
    decider = Decider(
        engine,
        app[AUDIT],
        app[OBSERVER],
        log_policy,
        clock=clock,
        timer=time.perf_counter,
        published_at=app[FOLLOWER].times.at,
        tracing=or_untraced(app[TRACING]),
    )
    responder = Responder(
        BehaviourPolicy(engine, app[OBSERVER], clock=time.monotonic),
        store.behaviour,
        store.observations,
        store.contributions,
        registry,
        decider,
        rollbacks,
        app[OBSERVER],
        clock,
        newcomer,
    )
    requests = RequestWatch(responder, store.profiles, registry, app[OBSERVER], clock)
    issuer = settings.resolved_public_url
    verifier = CapabilityVerifier(jwks(()), issuer, None, clock, counted.capabilities, standings=announcing.revoker)
    keys.follow(lambda found: verifier.update_keys(jwks(found)))
    return Services(
        public_url=issuer,
        access=app[ACCESS],
        newcomer_trust=newcomer,
        federation=settings.federation,
        clock=clock,
        decider=decider,
        gatherer=Gatherer(rounds, UsageWindow(clock, cells=counted.usage), clock, excepted, held),
        rounds=rounds,
        contributions=store.contributions,
        rollbacks=rollbacks,
        registry=registry,
        tokens=EnrolmentTokens(store.tokens, clock),
        credentials=Credentials(
            IssuerPolicy(engine).accepts,
            app[RESOLVER].resolve,
            lambda used, until: counted.newcomers.use(used, until) == "first",
            clock,
        ),
        manufacturers=_manufacturers(settings),
        responder=responder,
        requests=requests,
        signals=SignalWatch(responder, store.profiles, registry, app[OBSERVER], clock, requests.uses),
        behaviour=store.behaviour,
        observations=store.observations,
        ledger=store.capabilities,
        records=store.decisions,
        entries=store.log,
        heads=app[HEADS],
        provenance=Provenance(store, app[HEADS].signer),
        exceptions=store.exceptions,
        excepted=excepted,
        holds=store.holds,
        held=held,
        alerts=AlertDesk(decider, store.holds, held, store.behaviour, _revision_of(probe), app[OBSERVER], clock),
        log=app[AUDIT],
        proofs=ProofVerifier(clock, replay=counted.proofs),
        newcomers=ProofVerifier(clock, replay=counted.newcomers),
        minter=Minter(keys.ring.current, issuer, clock),
        capabilities=verifier,
        access_tokens=AccessTokens(
            keys.ring.current, keys.ring.verifying, issuer, clock, announcing.revoker.standing_of
        ),
        nonces=Nonces(clock, counted.nonce_secret),
        nonce_mode=settings.dpop_nonce,
        keys=keys,
        revoker=announcing.revoker,
        broadcast=announcing.broadcast,
        status_lists=announcing.status_lists,
        jwks=lambda: jwks(keys.ring.verifying()),
        readiness=probe,
        metrics=app[METRICS],
        exposition=_own_exposition(app[METRICS]) if part is None else part.exposition,
        callers=RateLimit(time.monotonic, rate=edge.rate, burst=edge.burst, cells=counted.callers),
        strangers=RateLimit(
            time.monotonic, rate=edge.stranger_rate, burst=edge.stranger_burst, cells=counted.strangers
        ),
        rotations=RateLimit(time.monotonic, rate=edge.rotation_rate, burst=edge.rotation_burst),
        repeats=Repeats(
            store.idempotency,
            sealer,
            clock,
            lambda outcome: app[METRICS].repeats.labels(outcome).inc(),
            rate=RateLimit(time.monotonic, rate=KEYS_A_SECOND, burst=KEYS_AT_ONCE, cells=counted.repeated),
        ),
        candidates=Candidates(engine, store.devices),
        pages=PageTokens(sealer, clock),
        publisher=app[PUBLISHER],
        releases=store.releases,
        shadows=ShadowBook(store.shadows, app[PUBLISHER].examine, clock),
        policies=lambda revision: _standing(app, settings, revision, clock()),
        resolver=app[RESOLVER],
        identities=store.identities,
        shown=app[IDENTIFYING].source,
        organisation=app[IDENTIFYING].organisation,
    )


def _revision_of(probe: ReadinessProbe) -> Callable[[], Awaitable[str]]:
    async def _revision() -> str:
        return (await probe()).policy_revision

    return _revision


def _own_exposition(metrics: Metrics) -> Callable[[str], Awaitable[tuple[bytes, str]]]:
    async def _expose(accept: str) -> tuple[bytes, str]:
        return metrics.expose(accept)

    return _expose


def _standing(app: web.Application, settings: Settings, revision: str, now: float) -> PolicyStanding:
    follower = app[FOLLOWER]
    refusals = latest(app[PUBLISHER].refusals, follower.refusals)
    standing = stand(settings.engine, revision, follower.layers, follower.heads, refusals, now)
    app[OBSERVER].policies(standing)
    return standing


def _manufacturers(settings: Settings) -> Manufacturers:
    try:
        return load_manufacturers(settings.manufacturers_dir)
    except ManufacturersInvalid as error:
        raise StartFailed(str(error)) from None


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
