"""The tables of what replicas count together: seen proofs, allowances of requests, and use in windows."""

from sqlalchemy import BigInteger, Column, Double, Index, String, Table

from controlplane.storage.tables import metadata

shared_proofs = Table(
    "shared_proofs",
    metadata,
    # A digest of the key and the proof's id.
    Column("name", String(32), primary_key=True),
    Column("expires_at", Double, nullable=False),
    Index("ix_shared_proofs_expires_at", "expires_at"),
)

shared_rates = Table(
    "shared_rates",
    metadata,
    # A digest of what is bounded and for whom.
    Column("name", String(32), primary_key=True),
    # Unix seconds at which the allowance is whole again; no index, so that changing it moves no entry of one.
    Column("full_at", Double, nullable=False),
    # By the latest lease.
    Column("granted", Double, nullable=False),
)

shared_usage = Table(
    "shared_usage",
    metadata,
    # Unix seconds at which the window begins.
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    # A digest of the subject.
    Column("name", String(32), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)
