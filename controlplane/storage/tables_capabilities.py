"""The tables of capabilities, their keys and revocations. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import Column, Double, Integer, LargeBinary, String, Table

from controlplane.storage.tables import metadata

capability_uses = Table(
    "capability_uses",
    metadata,
    Column("jti", String(128), primary_key=True),
    Column("expires_at", Double, nullable=False, index=True),
    Column("uses", Integer, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(43), primary_key=True),
    Column("key_x", String(43), nullable=False),
    Column("key_y", String(43), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("signs_from", Double, nullable=False),
    Column("withdrawn_at", Double),
)

revocations = Table(
    "revocations",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("value", String(128), primary_key=True),
    Column("revoked_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)

security_events = Table(
    "security_events",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("time", Double, nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
)
