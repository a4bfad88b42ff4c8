"""What decides: an OPA beside the control plane, one elsewhere, or policies in this process; and how it is asked."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from controlplane.decisions import Coalescer
from controlplane.decisions.coalescing import CoalescingLimits
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.embedding import embedded_places, embedded_transport
from controlplane.parts import EMBEDDED, FOLLOWER, OBSERVER, OPA, SIDECAR, STORE, TRACING, TRUST, StartFailed
from controlplane.releases.following import Follower, Offer
from controlplane.releasing import following, keys_for_opa, places
from controlplane.settings import Settings
from controlplane.sidecar import Sidecar, SidecarOptions, locate_opa
from controlplane.sidecar.folders import beside
from controlplane.tracing import or_untraced

if TYPE_CHECKING:
    from controlplane.decisions.embedded import EmbeddedTransport

_log = structlog.get_logger("ztfm.app")


async def opa(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    """Hand policies to OPA, and run it unless it runs elsewhere."""
    external = settings.opa_mode == "external"
    sidecar = None if external else await _sidecar(app, settings)
    offer = places(settings) if sidecar is None else places(settings, sidecar.offer)
    follower = _follower(app, settings, clock, offer)
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


async def embedded(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    """Have policies decide in this process."""
    transport = app[EMBEDDED] = embedded_transport(settings)
    follower = _follower(app, settings, clock, embedded_places(settings, transport))
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


def build_transport(app: web.Application, settings: Settings) -> "OpaTransport | EmbeddedTransport":
    """Return what carries questions to what decides."""
    if EMBEDDED in app:
        return app[EMBEDDED]
    return OpaTransport(app[OPA], layers=settings.layers[1:], tracing=or_untraced(app[TRACING]))


def build_engine(app: web.Application, settings: Settings, transport: "OpaTransport | EmbeddedTransport") -> Coalescer:
    """Return what asks many questions at once."""
    limits = CoalescingLimits(queue=settings.queue, deadline_seconds=settings.opa_deadline_seconds)
    tracing = or_untraced(app[TRACING])
    return Coalescer(transport, app[OBSERVER], clock=time.monotonic, limits=limits, tracing=tracing)


def _follower(app: web.Application, settings: Settings, clock: Callable[[], float], offer: Offer) -> Follower:
    follower = Follower(app[STORE].releases, app[TRUST], settings.layers, offer, clock, app[OBSERVER])
    app[FOLLOWER] = follower
    return follower


def _require_taken(follower: Follower) -> None:
    for layer, refusal in follower.refusals.items():
        if layer not in follower.taken:
            raise StartFailed(
                f"what is released for {layer} is refused ({refusal.reason}: {refusal.detail}). Give this machine the "
                "key that signed it (ZTFM_POLICY_KEY_FILE), trust that key (ZTFM_POLICY_TRUST_DIR), or publish others "
                "that are trusted here with `ztfm policy publish`"
            )


async def _sidecar(app: web.Application, settings: Settings) -> Sidecar:
    found = await asyncio.to_thread(locate_opa, os.environ)
    _log.info("opa_found", opa=str(found.path), version=".".join(map(str, found.version)))
    keys = keys_for_opa(app[TRUST], settings.layers)
    folder = settings.state_dir.resolve() / "opa"
    options = SidecarOptions(found, folder, beside(), settings.opa_tcp, layers=settings.layers, keys=keys)
    if settings.tls_cert_file is not None:
        files = settings.tls_cert_file.resolve(), (settings.tls_key_file or settings.tls_cert_file).resolve()
        options = replace(options, certificate=files[0], key=files[1])
    sidecar = app[SIDECAR] = Sidecar(options, on_restart=app[OBSERVER].restarted)
    return sidecar


def _external(settings: Settings) -> OpaAddress:
    path = settings.opa_token_file
    try:
        token = path.read_text().strip() if path else ""
    except OSError as error:
        raise StartFailed(f"ZTFM_OPA_TOKEN_FILE: {path} cannot be read: {error.strerror}") from None
    if not token:
        raise StartFailed(f"ZTFM_OPA_TOKEN_FILE: {path} is empty")
    return OpaAddress(token=token, socket=settings.opa_socket, url=settings.opa_url or "http://opa.invalid")
