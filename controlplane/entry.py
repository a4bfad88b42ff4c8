"""How callers come in: the listeners, the authority for client certificates, people's provider, the metrics' token."""

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from controlplane.api.access import Access
from controlplane.api.listening import (
    Listener,
    ListenError,
    bind_together,
    listen_tcp,
    listen_unix,
    load_certificate,
    server_context,
)
from controlplane.bootstrap import Bootstrap
from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.identity.authority import CertificateAuthority
from controlplane.identity.people import Expected
from controlplane.identity.provider import Discovery, KeyFile, People
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.settings import Settings
from controlplane.storage import Store, StoreUnavailable
from controlplane.telemetry import Metrics

AUTHORITY_FILE = "authority.pem"
MIN_TOKEN_CHARS = 20
SETTLE_SECONDS = 60.0
RENEWAL_SECONDS = 60.0

_log = structlog.get_logger("ztfm.entry")


def load_authority(state_dir: Path, federation: str, now: float) -> CertificateAuthority:
    """Return the authority of a state folder, made on first use; its file is private.

    Raises:
        KeyFileError: others can read the file, or it holds no authority.
        OSError: the folder cannot be read or written.
    """
    path = state_dir / AUTHORITY_FILE
    pem = read_private(path)
    if pem is None:
        pem = create_private(path, CertificateAuthority.create(f"ZTFM {federation}", now).to_pem())
    try:
        return CertificateAuthority.from_pem(pem)
    except ValueError as error:
        raise KeyFileError(f"{path} holds no authority: {error}. Move it away, and a new one is made.") from None


def open_listeners(settings: Settings, *, together: bool = False) -> tuple[Settings, list[Listener]]:
    """Return every listener that the settings ask for, and the settings with the ports that were taken.

    Args:
        settings: what is asked for.
        together: other processes of this control plane listen at the same ports.

    Raises:
        ListenError: a certificate, key or socket cannot be used.
        CapabilityError: the authority's file cannot be used.
        OSError: an address is taken, or is not ours.
    """
    opened: list[Listener] = []
    listen = bind_together if together else listen_tcp
    try:
        tls = _tls(settings)
        if not settings.serves_tls_alone:
            opened.append(listen(settings.listen_host, settings.listen_port))
            settings = settings.model_copy(update={"listen_port": _port(opened[-1])})
        if tls is not None:
            name = "listen_port" if settings.tls_port is None else "tls_port"
            opened.append(listen(settings.listen_host, getattr(settings, name), tls))
            settings = settings.model_copy(update={name: _port(opened[-1])})
        if settings.listen_socket is not None:
            opened.append(listen_unix(settings.listen_socket, int(settings.listen_socket_mode, 8)))
    except BaseException:
        for listener in opened:
            listener.socket.close()
        raise
    return settings, opened


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    authorities = load_authority(settings.state_dir, settings.federation, time.time()).certificate_pem
    if settings.tls_client_ca_file is not None:
        authorities += "\n" + settings.tls_client_ca_file.read_text()
    minimum = ssl.TLSVersion.TLSv1_3 if settings.tls_minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    return server_context(settings.tls_cert_file, settings.tls_key_file, authorities, minimum)


def reserve_listeners(settings: Settings) -> tuple[Settings, list[Listener]]:
    """Return what several workers listen at, held for them: ports that nobody else has, and the Unix socket.

    Raises:
        ListenError: a certificate, key or socket cannot be used.
        CapabilityError: the authority's file cannot be used.
        OSError: an address is taken, or is not ours.
    """
    for port in {settings.listen_port, settings.tls_port or 0} - {0}:
        # Ports are shared with our workers, and not with another control plane that shares its own.
        listen_tcp(settings.listen_host, port).socket.close()
    return open_listeners(settings, together=True)


async def follow_certificate(
    settings: Settings, listeners: Sequence[Listener], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Take up a renewed server certificate, for ever; connections from then on show it.

    One that cannot be used changes nothing, is logged, and is looked at again when it has changed.
    """
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is None or key is None:
        return
    seen = await asyncio.to_thread(_changed_at, certificate, key)
    while True:
        await sleep(RENEWAL_SECONDS)
        found = await asyncio.to_thread(_changed_at, certificate, key)
        if found == seen:
            continue
        seen = found
        try:
            for listener in listeners:
                if listener.tls is not None:
                    load_certificate(listener.tls, certificate, key)
        except ListenError as error:
            _log.error("certificate_not_renewed", error=str(error))
        else:
            _log.info("certificate_renewed", path=str(certificate))


def _changed_at(*paths: Path) -> list[int]:
    try:
        return [path.stat().st_mtime_ns for path in paths]
    except OSError:
        return []


def _port(listener: Listener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port


@asynccontextmanager
async def admitting(
    settings: Settings, store: Store, metrics: Metrics, clock: Callable[[], float], *, offers: bool = True
) -> AsyncIterator[Access]:
    """Bring up what lets callers in, and take it down.

    Args:
        settings: how it runs.
        store: knows who is enrolled.
        metrics: count.
        clock: Unix seconds.
        offers: leaves a secret for the first administrator; a worker leaves that to its parent.

    Raises:
        CapabilityError: a private file cannot be used.
        StoreUnavailable: the store failed.
        OSError: a file cannot be read or written.
    """
    bootstrap = Bootstrap(store.devices, EnrolmentTokens(store.tokens, clock), settings.state_dir, clock)
    people = _people(settings, metrics, clock)
    expiring: asyncio.Task[None] | None = None
    try:
        if offers:
            await bootstrap.offer()
            expiring = asyncio.create_task(_settle_again(bootstrap), name="bootstrap")
        yield Access(
            tls_url=settings.resolved_tls_public_url,
            authority=load_authority(settings.state_dir, settings.federation, clock()),
            people=people,
            metrics_token=_token(settings.resolved_metrics_token_file, settings.metrics_token_file is None, "/metrics"),
            alerts_token=_token(settings.resolved_alerts_token_file, settings.alerts_token_file is None, "/v1/alerts"),
            on_administrator=lambda: _settle(bootstrap),
        )
    finally:
        if expiring is not None:
            expiring.cancel()
            await asyncio.wait({expiring})
        if people is not None:
            await people.close()


async def _settle(bootstrap: Bootstrap) -> None:
    """Let the bootstrap secret go where it has had its time; whoever just enrolled is not told that this failed."""
    try:
        await bootstrap.settle()
    except (StoreUnavailable, KeyFileError, OSError) as error:
        _log.warning("bootstrap_not_settled", error=type(error).__name__)


async def _settle_again(bootstrap: Bootstrap) -> None:
    """Do so every minute: it may have expired, or another replica may have got its administrator."""
    while True:
        await asyncio.sleep(SETTLE_SECONDS)
        await _settle(bootstrap)


def _people(settings: Settings, metrics: Metrics, clock: Callable[[], float]) -> People | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    source = KeyFile(settings.oidc_jwks_file) if settings.oidc_jwks_file else Discovery(settings.oidc_issuer)
    expected = Expected(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        clients=frozenset(_listed(settings.oidc_clients or settings.oidc_audience)),
        claims=tuple(_listed(settings.oidc_claims)),
    )
    return People(source, expected, clock, time.monotonic, lambda result: metrics.provider_keys.labels(result).inc())


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _token(path: Path, is_ours: bool, opens: str) -> str:
    """Return the token that opens one route: to Prometheus the metrics, to Alertmanager where it tells of alerts.

    One that we were given may be readable by a group, since these run as somebody else.
    """
    if is_ours:
        raw = read_private(path)
        if raw is None:
            raw = create_private(path, secrets.token_urlsafe(32).encode() + b"\n")
            _log.info("token_file_made", file=str(path.resolve()), opens=opens)
    else:
        if path.stat().st_mode & 0o007:
            raise ListenError(f"{path}: everybody can read the token of {opens}; run `chmod o= {path}`")
        raw = path.read_bytes()[:4096]
    token = raw.decode(errors="replace").strip()
    if len(token) < MIN_TOKEN_CHARS or not token.isascii():
        raise ListenError(f"{path} holds no token of at least {MIN_TOKEN_CHARS} characters")
    return token
