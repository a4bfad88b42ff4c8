"""The tables of micro-segmentation: where devices are on the network, and what their capabilities open there."""

from sqlalchemy import BigInteger, Column, Double, Index, String, Table

from controlplane.storage.tables import metadata

segment_attachments = Table(
    "segment_attachments",
    metadata,
    Column("device", String(128), primary_key=True),
    # Two devices of one address would share what either may reach.
    Column("address", String(45), nullable=False, unique=True),
    Column("site", String(64), nullable=False),
    Column("line", String(64)),
    Column("device_class", String(64), nullable=False),
    Column("wireguard", String(44), unique=True),
    Column("recorded_at", Double, nullable=False),
    Column("recorded_by", String(128), nullable=False),
)

segment_grants = Table(
    "segment_grants",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("device", String(128), nullable=False),
    Column("source", String(45), nullable=False),
    Column("service", String(64), nullable=False),
    Column("wireguard", String(44)),
    Column("segment", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("line", String(64)),
    Column("device_class", String(64), nullable=False),
    Column("decision", String(128), nullable=False),
    # With which the capability was signed: once it is withdrawn, the grant is void as the capability is.
    Column("kid", String(128), nullable=False),
    Column("issued_at", Double, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_segment_grants_expires_at", "expires_at"),
    Index("ix_segment_grants_made_at", "made_at"),
    Index("ix_segment_grants_device", "device", "service", "expires_at"),
)

segment_changes = Table(
    "segment_changes",
    metadata,
    # One row: ``attachments``.
    Column("name", String(16), primary_key=True),
    Column("times", BigInteger, nullable=False),
)
