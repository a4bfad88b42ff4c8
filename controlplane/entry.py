"""How callers come in: the listeners, the authorities of certificates, people's provider, the metrics' token."""

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
from controlplane.capabilities.errors import CapabilityError, KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.certifying import AuthorityFile
from controlplane.identity.authorities import NoAuthority
from controlplane.identity.codeflow import CodeFlow
from controlplane.identity.people import Expected
from controlplane.identity.provider import Discovery, KeyFile, People
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.serving_certificate import keep_certificate
from controlplane.settings import Settings
from controlplane.storage import Store, StoreUnavailable
from controlplane.telemetry import Metrics

MIN_TOKEN_CHARS = 20
MAX_SECRET_CHARS = 1024
SETTLE_SECONDS = 60.0
RENEWAL_SECONDS = 60.0

_log = structlog.get_logger("ztfm.entry")


def authorities_of(settings: Settings) -> AuthorityFile:
    """Return the file of the authorities that sign certificates; `AuthorityFile.open` makes what is not there."""
    return AuthorityFile(settings.resolved_authority_file, settings.resolved_trust_domain)


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
    now = time.time()
    if settings.tls_own:
        keep_certificate(settings, authorities_of(settings), now)
    authorities = authorities_of(settings).open(now).trusted_pem(now)
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
    """Take up a renewed server certificate and new authorities, for ever; connections from then on see them.

    What cannot be used changes nothing, is logged, and is looked at again when it has changed.
    """
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is None or key is None:
        return
    contexts = [listener.tls for listener in listeners if listener.tls is not None]
    own, authorities = (certificate, key), settings.resolved_authority_file
    seen = await asyncio.to_thread(_changed_at, *own), await asyncio.to_thread(_changed_at, authorities)
    while True:
        await sleep(RENEWAL_SECONDS)
        if settings.tls_own:
            await _kept_anew(settings)
        found = await asyncio.to_thread(_changed_at, *own), await asyncio.to_thread(_changed_at, authorities)
        if found[0] != seen[0]:
            _take_certificate(contexts, certificate, key)
        if found[1] != seen[1]:
            _take_authorities(contexts, authorities_of(settings))
        seen = found


async def _kept_anew(settings: Settings) -> None:
    try:
        await asyncio.to_thread(keep_certificate, settings, authorities_of(settings), time.time())
    except (CapabilityError, NoAuthority, OSError, ValueError) as error:
        _log.error("certificate_not_renewed", error=str(error))


def _take_certificate(contexts: Sequence[ssl.SSLContext], certificate: Path, key: Path) -> None:
    try:
        for context in contexts:
            load_certificate(context, certificate, key)
    except ListenError as error:
        _log.error("certificate_not_renewed", error=str(error))
    else:
        _log.info("certificate_renewed", path=str(certificate))


def _take_authorities(contexts: Sequence[ssl.SSLContext], file: AuthorityFile) -> None:
    """Trust authorities that are new. One whose time is over stays until a restart; all that it signed has expired."""
    try:
        pem = file.read().trusted_pem(time.time())
        for context in contexts:
            context.load_verify_locations(cadata=pem)
    except (KeyFileError, OSError, ValueError) as error:
        _log.error("authorities_not_renewed", error=str(error))
    else:
        _log.info("authorities_renewed", path=str(file.path))


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
    asked = Discovery(settings.oidc_issuer) if people is not None and settings.oidc_issuer is not None else None
    authorities = authorities_of(settings)
    authorities.open(clock())
    expiring: asyncio.Task[None] | None = None
    try:
        if offers:
            await bootstrap.offer()
            expiring = asyncio.create_task(_settle_again(bootstrap, authorities, clock), name="bootstrap")
        yield Access(
            tls_url=settings.resolved_tls_public_url,
            authorities=authorities,
            people=people,
            metrics_token=_token(settings.resolved_metrics_token_file, settings.metrics_token_file is None, "/metrics"),
            alerts_token=_token(settings.resolved_alerts_token_file, settings.alerts_token_file is None, "/v1/alerts"),
            on_administrator=lambda: _settle(bootstrap),
            is_bootstrapping=bootstrap.is_offered,
            provider=_provider(settings, people, asked, clock),
        )
    finally:
        if expiring is not None:
            expiring.cancel()
            await asyncio.wait({expiring})
        if people is not None:
            await people.close()
        if asked is not None:
            await asked.close()


async def _settle(bootstrap: Bootstrap) -> None:
    """Let the bootstrap secret go where it has had its time; whoever just enrolled is not told that this failed."""
    try:
        await bootstrap.settle()
    except (StoreUnavailable, KeyFileError, OSError) as error:
        _log.warning("bootstrap_not_settled", error=type(error).__name__)


async def _settle_again(bootstrap: Bootstrap, authorities: AuthorityFile, clock: Callable[[], float]) -> None:
    """Do so every minute: it may have expired, or another replica may have got its administrator.

    And drop the key of an authority that signs no more.
    """
    while True:
        await asyncio.sleep(SETTLE_SECONDS)
        await _settle(bootstrap)
        try:
            await asyncio.to_thread(authorities.tidy, clock())
        except (KeyFileError, OSError) as error:
            _log.warning("authorities_not_tidied", error=str(error))


def _people(settings: Settings, metrics: Metrics, clock: Callable[[], float]) -> People | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    source = KeyFile(settings.oidc_jwks_file) if settings.oidc_jwks_file else Discovery(settings.oidc_issuer)
    clients = _listed(settings.oidc_clients or settings.oidc_audience)
    expected = _expected(settings, settings.oidc_issuer, settings.oidc_audience, clients)
    return People(
        source, expected, clock, time.monotonic, lambda result: metrics.edge.provider_keys.labels(result).inc()
    )


def _provider(
    settings: Settings, people: People | None, asked: Discovery | None, clock: Callable[[], float]
) -> CodeFlow | None:
    issuer, client = settings.oidc_issuer, settings.oidc_client_id
    if issuer is None or client is None or people is None or asked is None or settings.console == "off":
        return None
    return CodeFlow(
        asked,
        people,
        _expected(settings, issuer, client, [client]),
        clock,
        _client_secret(settings.oidc_client_secret_file),
    )


def _client_secret(path: Path | None) -> str | None:
    if path is None:
        return None
    raw = read_private(path)
    secret = "" if raw is None else raw.decode(errors="replace").strip()
    if not 0 < len(secret) <= MAX_SECRET_CHARS or not secret.isprintable():
        raise ListenError(f"{path} holds no client secret")
    return secret


def _expected(settings: Settings, issuer: str, audience: str, clients: Sequence[str]) -> Expected:
    return Expected(issuer, audience, frozenset(clients), tuple(_listed(settings.oidc_claims)))


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
