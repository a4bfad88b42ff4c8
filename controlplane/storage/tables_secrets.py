"""The table of secrets that are released to attested platforms."""

from sqlalchemy import Boolean, Column, Double, Integer, LargeBinary, String, Table

from controlplane.storage.tables import metadata

released_secrets = Table(
    "released_secrets",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("made_here", Boolean, nullable=False),
    Column("registered_by", String(128), nullable=False),
    Column("registered_at", Double, nullable=False),
)
