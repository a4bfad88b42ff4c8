"""The settings: one typed object, read once from ``ZTFM_*`` environment variables and passed down."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How a control plane runs.

    Attributes:
        state_dir: private folder for database, keys and the sidecar's files.
        listen_host: address to serve on; loopback unless told otherwise.
        listen_port: port; 0 takes a free one.
        public_url: how callers reach this control plane; proofs and capabilities name it.
        database_url: SQLAlchemy URL; none for SQLite in ``state_dir``.
        federation: name of the federation that devices enrol in.
        policies: policy folder; none for the one of this installation.
        opa_mode: ``child`` starts the sidecar, ``external`` uses one that runs already.
        opa_url: base URL of an external OPA.
        opa_socket: Unix socket of an external OPA; wins over ``opa_url``.
        opa_token_file: file with the bearer token of an external OPA's API.
        opa_tcp: also let the child listen on this ``host:port``.
        opa_deadline_seconds: from asking OPA to an answer; after it the answer is a deny.
        queue: decisions that may wait for OPA.
        start_seconds: how long OPA and store may take until the first decision can be given.
        newcomer_trust: trust of a device of which nothing is known yet.
        decision_days: how long recorded decisions are kept, days.
        log_level: debug, info, warning or error.
        log_format: json or text.
    """

    model_config = SettingsConfigDict(env_prefix="ZTFM_", extra="ignore", frozen=True)

    state_dir: Path = Path("state")
    listen_host: str = "127.0.0.1"
    listen_port: int = Field(default=8181, ge=0, le=65535)
    public_url: str | None = None
    database_url: str | None = None
    federation: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    policies: Path | None = None
    opa_mode: Literal["child", "external"] = "child"
    opa_url: str | None = None
    opa_socket: Path | None = None
    opa_token_file: Path | None = None
    opa_tcp: str | None = None
    opa_deadline_seconds: float = Field(default=1.0, gt=0.0, le=30.0)
    queue: int = Field(default=4096, ge=1, le=1_000_000)
    start_seconds: float = Field(default=30.0, gt=0.0, le=3600.0)
    newcomer_trust: float = Field(default=0.6, ge=0.0, le=1.0)
    decision_days: float = Field(default=90.0, gt=0.0, le=36_500.0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("public_url", "opa_url")
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
        return self

    @property
    def resolved_public_url(self) -> str:
        """The public URL, or the one that follows from host and port."""
        host = f"[{self.listen_host}]" if ":" in self.listen_host else self.listen_host
        return self.public_url or f"http://{host}:{self.listen_port}"

    @property
    def resolved_database_url(self) -> str:
        """The database URL, or SQLite in the state folder."""
        return self.database_url or f"sqlite+aiosqlite:///{self.state_dir.resolve() / 'ztfm.db'}"
