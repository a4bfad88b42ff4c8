"""The tables of attestation: open challenges, and what became of evidence."""

from sqlalchemy import Column, Double, ForeignKey, Index, LargeBinary, String, Table, Text

from controlplane.storage.tables import metadata

attestation_challenges = Table(
    "attestation_challenges",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("device", String(128), ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("nonce", String(43), nullable=False),
    Column("kept", LargeBinary),
    Column("made_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Index("ix_attestation_challenges_device", "device", "made_at"),
)

attestations = Table(
    "attestations",
    metadata,
    Column("device", String(128), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("level", String(16), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("platform", String(256), nullable=False),
    Column("verified_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("release_suite", String(32)),
    Column("release_key", Text),
    Column("decision_id", String(128), nullable=False),
    Column("result", Text, nullable=False),
    Index("ix_attestations_platform", "platform", "expires_at"),
)
