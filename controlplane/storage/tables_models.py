"""The tables of models' versions. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import Column, Double, ForeignKeyConstraint, Index, LargeBinary, String, Table, Text

from controlplane.storage.tables import metadata

model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("id", String(71), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("root", String(71), nullable=False),
    Column("signer", String(64), nullable=False),
    Column("signed_as", String(256), nullable=False),
    Column("tensors", String(71)),
    Column("registered_at", Double, nullable=False),
    Column("registered_by", String(128), nullable=False),
    Column("decision_id", String(128)),
    Column("withdrawn_at", Double),
    Column("withdrawn_by", String(128)),
    Column("withdrawn_why", Text),
    Column("bundle", LargeBinary, nullable=False),
    Index("ix_model_versions_registered_at", "model", "registered_at"),
)

model_digests = Table(
    "model_digests",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("version", String(71), primary_key=True),
    # Of the file; empty for that of all tensors.
    Column("name", String(512), primary_key=True),
    Column("digest", String(71), nullable=False),
    ForeignKeyConstraint(["model", "version"], ["model_versions.model", "model_versions.id"], ondelete="CASCADE"),
    Index("ix_model_digests_digest", "model", "digest"),
)

round_bases = Table(
    "round_bases",
    metadata,
    Column("round_id", String(128), primary_key=True),
    Column("model", String(128), nullable=False),
    Column("version", String(71), nullable=False),
)
