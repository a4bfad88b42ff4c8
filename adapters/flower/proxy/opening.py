"""Put proxy and sidecar together and keep them open, for their commands and for loops of others."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.client import Capabilities, ControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.flower.proxy.bindings import Bindings
from adapters.flower.proxy.forwarding import Forwarder, listening
from adapters.flower.proxy.gate import Gate
from adapters.flower.proxy.identities import Members, Proofs
from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.report import Report
from adapters.flower.proxy.rights import Rights
from adapters.flower.proxy.serving import Serving
from adapters.flower.proxy.upstream import Upstream

LOOPBACK = ("127.0.0.1", 0)
_FIRST_WORD_SECONDS = 10.0


@dataclass(frozen=True)
class OpenProxy:
    """A proxy that listens.

    Attributes:
        url: of its listener.
        public_url: how sidecars reach it.
        report: what it did.
    """

    url: str
    public_url: str
    report: Report


@asynccontextmanager
async def opened(
    state: Path,
    upstream: str,
    models: Sequence[str],
    *,
    audience: str = "fleet-1",
    segment: str | None = None,
    listen: tuple[str, int] = LOOPBACK,
    public_url: str | None = None,
    tls: ssl.SSLContext | None = None,
    upstream_tls: ssl.SSLContext | None = None,
    socket: Path | None = None,
    limits: Limits | None = None,
    report_file: Path | None = None,
) -> AsyncIterator[OpenProxy]:
    """Serve a proxy for as long as the context is entered.

    Args:
        state: folder of an enrolled gateway; which node is whose is kept there.
        upstream: URL of the SuperLink.
        models: that may be trained behind it.
        audience: the name of this proxy in capabilities.
        segment: from which alone devices are taken; none for any.
        listen: address and port.
        public_url: how sidecars reach it; none for the listener's URL.
        tls: this side's certificate; none without TLS.
        upstream_tls: how the SuperLink's certificate is verified; none for the system's authorities.
        socket: Unix socket of the control plane.
        limits: bounds; none for the defaults.
        report_file: where the report is kept; none for nowhere.

    Raises:
        FileNotFoundError: nobody was enrolled in ``state``.
        KeyFileError: its key or identity cannot be used.
        ValueError: an argument, or what is kept, cannot be.
        OSError: the address cannot be had, or a file not be used.
    """
    identity, bounds, report = load_identity(state), limits or Limits(), Report()
    if not models:
        raise ValueError("a proxy without a model would let no weights through, or hide a mistake")
    plane = ControlPlane(identity.url, load_key(state), socket=socket)
    members = Members(plane, identity.issuer, models[0])
    rights = Rights(plane, identity.issuer, audience, models, members.feed, segment, plane.clock)
    link = Upstream(upstream, bounds, upstream_tls)
    gate = Gate(
        members=members,
        proofs=Proofs(plane.clock),
        rights=rights,
        bindings=Bindings(state),
        upstream=link,
        audience=audience,
        limits=bounds,
        report=report,
    )
    serving = Serving(gate, bounds)
    try:
        await members.feed.start(_FIRST_WORD_SECONDS)
        await rights.start()
        url = await serving.start(*listen, public_url=public_url, tls=tls)
        if report_file is not None:
            serving.write_reports(report_file)
        yield OpenProxy(url, gate.public_url, report)
    finally:
        await serving.close()
        await link.close()
        await rights.close()
        await members.feed.close()
        await plane.close()
        if report_file is not None:
            report.write(report_file)


@asynccontextmanager
async def beside(
    device: Path,
    proxy: str,
    *,
    listen: tuple[str, int] = LOOPBACK,
    tls: ssl.SSLContext | None = None,
    proxy_tls: ssl.SSLContext | None = None,
    socket: Path | None = None,
) -> AsyncIterator[str]:
    """Serve a sidecar for as long as the context is entered, and give its URL.

    Args:
        device: folder of the enrolled device.
        proxy: the proxy's public URL.
        listen: address and port; of this machine alone.
        tls: this side's certificate; none without TLS.
        proxy_tls: how the proxy's certificate is verified; none for the system's authorities.
        socket: Unix socket of the control plane.

    Raises:
        FileNotFoundError: nobody was enrolled in ``device``.
        KeyFileError: its key or identity cannot be used.
        OSError: the address cannot be had.
    """
    key = load_key(device)
    async with (
        ControlPlane(load_identity(device).url, key, socket=socket) as plane,
        Capabilities(plane) as capabilities,
        Forwarder(key, capabilities, proxy, tls=proxy_tls) as forwarder,
        listening(forwarder, listen, tls) as url,
    ):
        yield url
