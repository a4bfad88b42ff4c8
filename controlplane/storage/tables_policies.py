"""The tables of policies, exceptions and holds. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from controlplane.storage.tables import metadata

policy_bundles = Table(
    "policy_bundles",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

policy_releases = Table(
    "policy_releases",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("layer", String(16), nullable=False),
    Column("revision", String(128), nullable=False),
    Column("digest", String(71), ForeignKey("policy_bundles.digest"), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("published_at", Double, nullable=False),
    Column("published_by", String(128), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Index("ix_policy_releases_layer", "layer", "sequence"),
)

policy_shadows = Table(
    "policy_shadows",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("revision", String(128), nullable=False),
    Column("digest", String(71), ForeignKey("policy_bundles.digest"), nullable=False),
    Column("started_at", Double, nullable=False, index=True),
    Column("started_by", String(128), nullable=False),
    Column("stopped_at", Double),
    Column("agreed", BigInteger, nullable=False),
    Column("newly_denied", BigInteger, nullable=False),
    Column("newly_allowed", BigInteger, nullable=False),
    Column("other_reasons", BigInteger, nullable=False),
    Column("other_terms", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
)

policy_disagreements = Table(
    "policy_disagreements",
    metadata,
    Column("shadow_id", String(128), ForeignKey("policy_shadows.id", ondelete="CASCADE"), primary_key=True),
    Column("change", String(16), primary_key=True),
    Column("action", String(64), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("segment", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("samples", Text, nullable=False),
)

policy_exceptions = Table(
    "policy_exceptions",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("subject", String(128), nullable=False, index=True),
    Column("resource", String(256), nullable=False),
    Column("action", String(64), nullable=False),
    Column("waives", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("approver", String(128), nullable=False),
    Column("granted_at", Double, nullable=False),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("revoked_by", String(128)),
    Column("uses", Integer, nullable=False),
    Column("last_used_at", Double),
    # Holds all that the look for other exceptions reads, which is done twice a second.
    Index("ix_policy_exceptions_ends_at", "ends_at", "revoked_at", "granted_at"),
)

holds = Table(
    "holds",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("segment", String(64), nullable=False),
    Column("actions", Text, nullable=False),
    Column("alert", String(128), nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("alert_started_at", Double, nullable=False),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False, index=True),
    Column("decision_id", String(128), nullable=False),
    Column("released_at", Double),
    Column("released_by", String(128)),
    Column("release_reason", Text),
)
