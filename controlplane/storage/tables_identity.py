"""The tables of identities and their ledgers. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, String, Table, Text

from controlplane.storage.tables import metadata

device_keys = Table(
    "device_keys",
    metadata,
    Column("thumbprint", String(43), primary_key=True),
    Column("device", String(128), nullable=False, index=True),
    Column("until", Double, nullable=False),
)

identity_records = Table(
    "identity_records",
    metadata,
    Column("subject", String(128), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("document", LargeBinary, nullable=False),
    Column("made_at", Double, nullable=False),
    # Both none where another ledger than our own log is written to.
    Column("number", Integer, unique=True),
    Column("place", BigInteger().with_variant(Integer, "sqlite"), unique=True),
    Column("anchored_at", Double),
    Index("ix_identity_records_anchored_at", "anchored_at", "made_at"),
)

identity_pending = Table(
    "identity_pending",
    metadata,
    Column("device", String(128), primary_key=True),
)

ledger_cursors = Table(
    "ledger_cursors",
    metadata,
    Column("ledger", String(16), primary_key=True),
    Column("cursor", Text),
    Column("records", Integer, nullable=False),
    Column("read_at", Double, nullable=False),
)

ledger_records = Table(
    "ledger_records",
    metadata,
    Column("ledger", String(16), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("place", String(128), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("refusal", String(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("ix_ledger_records_subject", "ledger", "subject", "number"),
    Index("ix_ledger_records_place", "ledger", "place"),
)

identities = Table(
    "identities",
    metadata,
    Column("ledger", String(16), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("issuer", String(128), nullable=False),
    Column("key_x", String(43), nullable=False),
    Column("key_y", String(43), nullable=False),
    Column("is_revoked", Boolean, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("head", String(64)),
    Column("is_founder", Boolean, nullable=False),
)
