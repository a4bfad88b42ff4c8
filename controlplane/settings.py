"""The settings: one typed object, read once from ``ZTFM_*`` environment variables and passed down."""

import os
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from controlplane.contracts.policies import LAYERS, PolicyLayer
from controlplane.identifiers.dids import DidInvalid
from controlplane.identifiers.didweb import place_of
from controlplane.identifiers.spiffe import TrustDomain, domain_of_federation
from controlplane.tracesettings import TraceSettings

_YES = {"true", "1", "yes", "on", "t", "y"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def is_safe_url(url: str) -> bool:
    """Whether what comes from ``url`` cannot be changed on the way: https, or http on loopback."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _said_to_opentelemetry() -> dict[str, str]:
    found = {name: os.environ.get(f"OTEL_{name.upper()}", "") for name in TraceSettings.model_fields}
    # What is empty was not said: so its specification has it.
    return {name: value for name, value in found.items() if value}


class Settings(BaseSettings):
    """How a control plane runs.

    Attributes:
        state_dir: private folder for database, keys and the sidecar's files.
        listen_host: address to serve on; loopback unless told otherwise.
        listen_port: port; 0 takes a free one.
        public_url: how callers reach this control plane; proofs and capabilities name it.
        workers: processes that serve, on the same ports and with one sidecar; 0 for as many as the cores bear.
        listen_socket: also serve on this Unix socket; whoever may open it counts as on this machine.
        listen_socket_mode: ``600`` for our own user alone, ``660`` for its group too.
        tls_cert_file: serve TLS with the certificate of this PEM file, and what leads to its authority.
        tls_key_file: PEM file with its private key.
        tls_client_ca_file: PEM file of authorities whose client certificates are verified, beside this control
            plane's own.
        tls_port: port for TLS beside the plain one; none serves TLS alone, on ``listen_port``.
        tls_public_url: how callers reach the TLS port; none for the public URL's host with that port.
        tls_own: serve TLS alone, on ``listen_port``, with a certificate of this control plane's own authority for the
            hosts of its URLs; made at the start, and renewed by itself. Clients trust ``tls/authority.pem`` in
            ``state_dir``.
        tls_minimum: oldest version that is spoken, 1.3 or 1.2.
        database_url: SQLAlchemy URL; none for SQLite in ``state_dir``.
        shared_limits: where rate limits, usage windows and seen proofs are counted: ``machine`` by the workers of this
            one, or ``store`` by all replicas together, in PostgreSQL.
        sealing_key_file: private file with the key that seals secrets in the database; none for ``sealing.key`` in
            ``state_dir``. Made on first use.
        signing_key_days: how long a key signs capabilities until the next one does, days.
        key_overlap_seconds: how long the next signing key is published before it signs; enforcement points keep the
            key set for 60 s.
        federation: name of the federation that devices enrol in.
        trust_domain: SPIFFE trust domain in whose name workloads get their documents; none for the federation's name in
            lower case. Take one that nobody else has.
        authority_file: private file with the authorities that sign certificates; none for ``authority.pem`` in
            ``state_dir``, made at the first start. Replicas of one database share it.
        manufacturers_dir: folder with the roots of manufacturers whose certificates devices may enrol with,
            ``NAME.pem`` each; policy names those that are accepted. None accepts none. Read at the start.
        attestation_roots: folder with a folder for each kind of evidence that is taken, such as ``tpm``, in which are
            the roots, and the collateral, that it is verified with. What changes there counts within ten seconds. None
            takes no evidence.
        model_signers_dir: folder with the public keys, and the roots of certificates, of those who sign models,
            ``NAME.pem`` each; policy says who may sign which. None accepts no signature. Read at the start.
        policies: policy folder; none for the one of this installation.
        policy_key_file: private PEM file with the P-256 key that signs policies on this machine; none for
            ``policy-signing.key`` in ``state_dir``, made at the first start.
        policy_trust_dir: folder with the public keys that policies may be signed by, ``<layer>/*.pem``; none trusts
            the key of this machine for every layer.
        policy_layers: layers beside the base that must decide too, separated by commas: ``tenant``, ``site``. Where
            one that is named here has no policies, everything is denied.
        bundle_dir: also put the bundles that are to decide into this folder, for an OPA that runs elsewhere.
        engine: what evaluates policies: ``opa``, or ``embedded`` where no OPA can run.
        opa_mode: ``child`` starts the sidecar, ``external`` uses one that runs already.
        opa_url: base URL of an external OPA.
        opa_socket: Unix socket of an external OPA; wins over ``opa_url``.
        opa_token_file: file with the bearer token of an external OPA's API.
        opa_tcp: also let the child listen on this ``host:port``.
        opa_deadline_seconds: from asking OPA to an answer; after it the answer is a deny.
        queue: decisions that may wait for OPA.
        start_seconds: how long OPA and store may take until the first decision can be given.
        caller_rate: requests a second that one enrolled key may make, twice as many at once, with all its processes
            together: a gateway that leases budgets and asks about content for many devices may need more.
        dpop_nonce: where key proofs must bear a nonce of this replica: ``token`` at the token endpoint, ``always`` on
            every route, ``off`` nowhere.
        oidc_issuer: identity provider of the people who administer; none lets no person in.
        oidc_audience: what its tokens must be for (``aud``).
        oidc_clients: clients to which they may have been given (``azp``), separated by commas; none for the audience.
        oidc_claims: claims that policy may give roles for, separated by commas; a dot leads into an object.
        oidc_jwks_file: the provider's key set, where it cannot be fetched; read again every ten minutes.
        oidc_client_id: by which the provider knows the console, where people are to sign in with it; its redirect URI
            is the page's address with ``/v1/console/oidc/callback``. None lets people sign in with keys alone.
        oidc_client_secret_file: private file with that client's secret; none for a public client.
        console: ``on`` serves the console at ``/console/``, ``off`` serves none and takes no session.
        metrics_token_file: file with the bearer token of ``/metrics``; none for ``metrics-token`` in ``state_dir``,
            made at the first start.
        alerts_token_file: file with the bearer token of ``/v1/alerts``; none for ``alerts-token`` in ``state_dir``,
            made at the first start.
        log_key_file: private file with the key that signs heads of the transparency log; none for
            ``log-signing.key`` in ``state_dir``, made at the first start. Replicas of one database share it.
        log_origin: name of the log when its key is made; none for a random one.
        log_witnesses_file: names the witnesses that are shown each head, a line each: ``VERIFIER_KEY URL``.
        log_witnesses_needed: how many of them must have signed a head for it to be believed.
        log_seconds: how often a head is signed while there is something new.
        did_methods: DID methods that are resolved, separated by commas; beside ``key`` and ``web`` those that installed
            packages bring.
        did_web_organisations: DIDs of organisations (``did:web:...``) whose documents may be fetched, separated by
            commas; of nobody else, whoever asks.
        did_web_reach: addresses that documents are fetched from: ``public``, ``private`` for those of private networks
            too, or ``lab`` for this machine as well, and from ``localhost`` without TLS.
        organisation_did: name of the organisation that runs this control plane and vouches for its devices; none for
            the ``did:key`` of its key.
        organisation_key_file: private PEM file with the P-256 key that signs what the organisation says of devices;
            none for ``organisation.key`` in ``state_dir``, made at the first start. Replicas of one database share it.
        ledger_founders_file: names the organisations that found the federation, as ``ztfm identity founders --json``
            prints them; none for this one alone.
        ledger: where signed records of identities lie: ``log``, or a kind that is installed.
        ledger_seconds: how often the ledger is read, and compared with the registry.
        ledger_late_seconds: after which a record that is not final is the finding ``late``; longer than finality takes.
        newcomer_trust: trust of a device of which nothing is known yet.
        decision_days: how long recorded decisions are kept at most, days; policy may keep them for less.
        log_level: debug, info, warning or error.
        log_format: json or text.
        traces: ``otlp`` records traces and sends them to a collector, as the ``OTEL_*`` variables say; ``off`` records
            none.
        traces_asked_per_second: traces that callers may have recorded by their own ``traceparent``, each second and by
            each process; those beyond it are not recorded.
        otel: what the ``OTEL_*`` variables say; none while traces are off.
    """

    model_config = SettingsConfigDict(env_prefix="ZTFM_", extra="ignore", frozen=True)

    state_dir: Path = Path("state")
    listen_host: str = "127.0.0.1"
    listen_port: int = Field(default=8181, ge=0, le=65535)
    workers: int = Field(default=1, ge=0, le=64)
    public_url: str | None = None
    listen_socket: Path | None = None
    listen_socket_mode: Literal["600", "660"] = "600"
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    tls_port: int | None = Field(default=None, ge=0, le=65535)
    tls_public_url: str | None = None
    tls_own: bool = False
    tls_minimum: Literal["1.3", "1.2"] = "1.3"
    database_url: str | None = None
    shared_limits: Literal["machine", "store"] = "machine"
    sealing_key_file: Path | None = None
    signing_key_days: float = Field(default=30.0, ge=0.01, le=3650.0)
    key_overlap_seconds: float = Field(default=120.0, ge=120.0, le=86_400.0)
    federation: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    trust_domain: str | None = Field(default=None, pattern=r"^[a-z0-9._-]{1,255}$")
    authority_file: Path | None = None
    manufacturers_dir: Path | None = None
    attestation_roots: Path | None = None
    model_signers_dir: Path | None = None
    policies: Path | None = None
    policy_key_file: Path | None = None
    policy_trust_dir: Path | None = None
    policy_layers: str = ""
    bundle_dir: Path | None = None
    engine: Literal["opa", "embedded"] = "opa"
    opa_mode: Literal["child", "external"] = "child"
    opa_url: str | None = None
    opa_socket: Path | None = None
    opa_token_file: Path | None = None
    opa_tcp: str | None = None
    opa_deadline_seconds: float = Field(default=1.0, gt=0.0, le=30.0)
    queue: int = Field(default=4096, ge=1, le=1_000_000)
    start_seconds: float = Field(default=30.0, gt=0.0, le=3600.0)
    caller_rate: float = Field(default=200.0, ge=1.0, le=100_000.0)
    dpop_nonce: Literal["token", "always", "off"] = "token"
    oidc_issuer: str | None = Field(default=None, max_length=256)
    oidc_audience: str | None = Field(default=None, min_length=1, max_length=256)
    oidc_clients: str | None = None
    oidc_claims: str = "groups,roles"
    oidc_jwks_file: Path | None = None
    oidc_client_id: str | None = Field(default=None, min_length=1, max_length=256)
    oidc_client_secret_file: Path | None = None
    console: Literal["on", "off"] = "on"
    metrics_token_file: Path | None = None
    alerts_token_file: Path | None = None
    log_key_file: Path | None = None
    log_origin: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    log_witnesses_file: Path | None = None
    log_witnesses_needed: int = Field(default=0, ge=0, le=32)
    log_seconds: float = Field(default=5.0, ge=0.05, le=3600.0)
    did_methods: str = Field(default="key,web", pattern=r"^[a-z0-9]{1,32}( *, *[a-z0-9]{1,32}){0,15}$")
    did_web_organisations: str = ""
    did_web_reach: Literal["public", "private", "lab"] = "public"
    organisation_did: str | None = Field(default=None, pattern=r"^did:[a-z0-9]+:[A-Za-z0-9._:@+-]{1,100}$")
    organisation_key_file: Path | None = None
    ledger_founders_file: Path | None = None
    ledger: str = Field(default="log", pattern=r"^[a-z][a-z0-9_]{0,15}$")
    ledger_seconds: float = Field(default=5.0, ge=0.05, le=3600.0)
    ledger_late_seconds: float = Field(default=120.0, ge=1.0, le=604_800.0)
    newcomer_trust: float = Field(default=0.6, ge=0.0, le=1.0)
    decision_days: float = Field(default=90.0, gt=0.0, le=36_500.0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    traces: Literal["off", "otlp"] = "off"
    traces_asked_per_second: int = Field(default=100, ge=0, le=1_000_000)
    otel: TraceSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _opentelemetry_is_read_where_it_is_wanted(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("traces") != "otlp" or given.get("otel") is not None:
            return given
        return {**given, "otel": _said_to_opentelemetry()}

    @model_validator(mode="before")
    @classmethod
    def _own_certificate_lies_in_the_state_folder(cls, given: Any) -> Any:
        if not isinstance(given, dict) or str(given.get("tls_own", "")).lower() not in _YES:
            return given
        folder = Path(given.get("state_dir") or "state") / "tls"
        own = {"tls_cert_file": folder / "server.pem", "tls_key_file": folder / "server-key.pem"}
        if any(Path(given.get(name) or path) != path for name, path in own.items()):
            raise ValueError("ZTFM_TLS_OWN makes its own certificate: leave out ZTFM_TLS_CERT_FILE and _KEY_FILE")
        return {**given, **own}

    @field_validator("public_url", "opa_url", "tls_public_url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/") if value else None

    @model_validator(mode="after")
    def _external_needs_address(self) -> Self:
        if self.opa_mode == "external":
            if self.opa_url is None and self.opa_socket is None:
                raise ValueError("an external OPA needs ZTFM_OPA_URL or ZTFM_OPA_SOCKET")
            if self.opa_token_file is None:
                raise ValueError("an external OPA needs ZTFM_OPA_TOKEN_FILE: its API must not be open")
            if self.opa_socket is None and not is_safe_url(self.opa_url or ""):
                raise ValueError("ZTFM_OPA_URL starts with https://, or http:// on loopback: decisions come from there")
        return self

    @field_validator("policy_layers")
    @classmethod
    def _known_layers(cls, value: str) -> str:
        unknown = {name.strip() for name in value.split(",") if name.strip()} - set(LAYERS[1:])
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: a layer beside the base is tenant or site")
        return value

    @field_validator("did_web_organisations")
    @classmethod
    def _organisations_are_found_on_the_web(cls, value: str) -> str:
        for did in _listed(value):
            try:
                place_of(did)
            except DidInvalid as error:
                raise ValueError(f"{did}: {error}") from None
        return value

    @model_validator(mode="after")
    def _keys_sign_longer_than_they_wait(self) -> Self:
        if self.signing_key_days * 86_400.0 < 2 * self.key_overlap_seconds:
            raise ValueError("ZTFM_SIGNING_KEY_DAYS must be at least twice as long as ZTFM_KEY_OVERLAP_SECONDS")
        return self

    @model_validator(mode="after")
    def _replicas_share_a_server(self) -> Self:
        if self.shared_limits == "store" and not (self.database_url or "").startswith("postgresql"):
            raise ValueError(
                "ZTFM_SHARED_LIMITS=store needs PostgreSQL (ZTFM_DATABASE_URL=postgresql+asyncpg://...); on SQLite "
                "there is one machine, which counts by itself: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("ZTFM_TLS_CERT_FILE and ZTFM_TLS_KEY_FILE go together")
        if self.tls_cert_file is None and (self.tls_port is not None or self.tls_client_ca_file is not None):
            raise ValueError("TLS needs ZTFM_TLS_CERT_FILE and ZTFM_TLS_KEY_FILE; `ztfm tls init` makes both for a lab")
        return self

    @model_validator(mode="after")
    def _people_come_from_somewhere_safe(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("ZTFM_OIDC_ISSUER and ZTFM_OIDC_AUDIENCE go together")
        if self.oidc_client_id is not None and self.oidc_issuer is None:
            raise ValueError("ZTFM_OIDC_CLIENT_ID needs ZTFM_OIDC_ISSUER")
        if self.oidc_client_secret_file is not None and self.oidc_client_id is None:
            raise ValueError("ZTFM_OIDC_CLIENT_SECRET_FILE needs ZTFM_OIDC_CLIENT_ID")
        if self.oidc_issuer is not None and not is_safe_url(self.oidc_issuer):
            raise ValueError("ZTFM_OIDC_ISSUER must start with https:// (http:// on loopback alone)")
        return self

    @property
    def serves_tls_alone(self) -> bool:
        """Whether there is TLS, and no plain port beside it."""
        return self.tls_cert_file is not None and self.tls_port is None

    @property
    def resolved_tls_public_url(self) -> str:
        """How callers reach us over TLS; empty where this process serves none."""
        if self.tls_cert_file is None:
            return ""
        if self.tls_port is None:
            return self.tls_public_url or self.resolved_public_url
        host = urlsplit(self.resolved_public_url).hostname or self.listen_host
        return self.tls_public_url or f"https://{_bracketed(host)}:{self.tls_port}"

    @property
    def resolved_trust_domain(self) -> TrustDomain:
        """The trust domain, or that of the federation."""
        return domain_of_federation(self.federation) if self.trust_domain is None else TrustDomain(self.trust_domain)

    @property
    def resolved_organisation_key_file(self) -> Path:
        """The file of the organisation's key, or the one in the state folder."""
        return self.organisation_key_file or self.state_dir / "organisation.key"

    @property
    def resolved_authority_file(self) -> Path:
        """The file of the authorities, or the one in the state folder."""
        return self.authority_file or self.state_dir / "authority.pem"

    @property
    def resolved_metrics_token_file(self) -> Path:
        """The file with the token of ``/metrics``, or the one in the state folder."""
        return self.metrics_token_file or self.state_dir / "metrics-token"

    @property
    def resolved_alerts_token_file(self) -> Path:
        """The file with the token of ``/v1/alerts``, or the one in the state folder."""
        return self.alerts_token_file or self.state_dir / "alerts-token"

    @property
    def resolved_policy_key_file(self) -> Path:
        """The file of the key that signs policies, or the one in the state folder."""
        return self.policy_key_file or self.state_dir / "policy-signing.key"

    @property
    def layers(self) -> tuple[PolicyLayer, ...]:
        """The layers that decide, the base first."""
        named = {name.strip() for name in self.policy_layers.split(",") if name.strip()}
        return ("base", *(layer for layer in LAYERS if layer in named))

    @property
    def listed_did_methods(self) -> tuple[str, ...]:
        """The DID methods that are resolved, each once."""
        return _listed(self.did_methods)

    @property
    def listed_did_web_organisations(self) -> tuple[str, ...]:
        """The DIDs of organisations whose documents may be fetched, each once."""
        return _listed(self.did_web_organisations)

    @property
    def resolved_sealing_key_file(self) -> Path:
        """The sealing key's file, or the one in the state folder."""
        return self.sealing_key_file or self.state_dir / "sealing.key"

    @property
    def resolved_public_url(self) -> str:
        """The public URL, or the one that follows from host and port."""
        scheme = "https" if self.serves_tls_alone else "http"
        return self.public_url or f"{scheme}://{_bracketed(self.listen_host)}:{self.listen_port}"

    @property
    def resolved_database_url(self) -> str:
        """The database URL, or SQLite in the state folder."""
        return self.database_url or f"sqlite+aiosqlite:///{self.state_dir.resolve() / 'ztfm.db'}"
