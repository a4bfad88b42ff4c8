"""The tables that others lean on. `migrations` creates all; a test holds the two equal."""

from sqlalchemy import Column, Double, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

devices = Table(
    "devices",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("key_thumbprint", String(43), nullable=False, unique=True),
    Column("key_x", String(43), nullable=False),
    Column("key_y", String(43), nullable=False),
    Column("roles", Text, nullable=False),
    Column("segment", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attestation_level", String(16), nullable=False),
    Column("attestation_verified_at", Double),
    Column("attestation_expires_at", Double),
    Column("trust_score", Double, nullable=False),
    Column("trust_observations", Integer, nullable=False),
    Column("trust_history", Text),
    Column("enrolled_at", Double, nullable=False),
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("roles", Text, nullable=False),
    Column("segment", String(64), nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("uses", Integer, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(43), primary_key=True),
    Column("request", String(43), nullable=False),
    Column("status", Integer, nullable=False),
    Column("sealed", LargeBinary),
    Column("expires_at", Double, nullable=False, index=True),
)
