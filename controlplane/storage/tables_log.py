"""The tables of decisions, and of the log that proves them. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table, Text

from controlplane.storage.tables import metadata

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("time", Double, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("ix_decisions_time", "time"),
)

log_entries = Table(
    "log_entries",
    metadata,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("id", String(128), nullable=False, index=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("salt", LargeBinary),
    Column("document", LargeBinary),
)

log_tiles = Table(
    "log_tiles",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("place", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
)

log_checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("size", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("note", Text, nullable=False),
)
