"""The tables. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

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
    Column("trust_score", Double, nullable=False),
    Column("trust_observations", Integer, nullable=False),
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

rounds = Table(
    "rounds",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("model", String(128), nullable=False),
    Column("model_digest", String(71), nullable=False),
    Column("members", Text, nullable=False),
    Column("opened_by", String(128), nullable=False),
    Column("opens_at", Double, nullable=False),
    Column("closes_at", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("aggregation", String(32), nullable=False, server_default="mean"),
    Index("ix_rounds_opens_at", "opens_at"),
)

submissions = Table(
    "submissions",
    metadata,
    Column("round_id", String(128), ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("uses", Integer, nullable=False),
)

contributions = Table(
    "contributions",
    metadata,
    Column("round_id", String(128), ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True),
    Column("subject", String(128), primary_key=True, index=True),
    Column("update_digest", String(71), nullable=False),
    Column("decision_id", String(128), nullable=False),
    Column("time", Double, nullable=False, index=True),
)

rollbacks = Table(
    "rollbacks",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("model", String(128), nullable=False),
    Column("round_id", String(128), nullable=False),
    Column("subjects", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ordered_by", String(128), nullable=False),
    Column("ordered_at", Double, nullable=False, index=True),
    Column("decision_id", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("ended_at", Double),
    Column("model_digest", String(71)),
    Column("rounds", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
    Column("fault", String(256), nullable=False),
    Index("ix_rollbacks_model_state", "model", "state"),
)

behaviour = Table(
    "behaviour",
    metadata,
    Column("subject", String(128), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("since", Double, nullable=False),
    Column("wealth", Text, nullable=False),
    Column("e_value", Double, nullable=False),
    Column("conforming", Double, nullable=False),
    Column("deviating", Double, nullable=False),
    Column("observed_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    # Whoever is set apart and when, and who stands out most.
    Index("ix_behaviour_state_since", "state", "since"),
    Index("ix_behaviour_e_value", "e_value"),
)

behaviour_scores = Table(
    "behaviour_scores",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("channel", String(16), nullable=False),
    Column("peers", String(128), nullable=False),
    Column("round_id", String(128), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("score", Double, nullable=False),
    Column("time", Double, nullable=False, index=True),
    Index("ix_behaviour_scores_peers", "channel", "peers", "id"),
)

behaviour_verdicts = Table(
    "behaviour_verdicts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("subject", String(128), nullable=False),
    Column("time", Double, nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
    Index("ix_behaviour_verdicts_subject", "subject", "id"),
)

behaviour_profiles = Table(
    "behaviour_profiles",
    metadata,
    Column("subject", String(128), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
)

capability_uses = Table(
    "capability_uses",
    metadata,
    Column("jti", String(128), primary_key=True),
    Column("expires_at", Double, nullable=False, index=True),
    Column("uses", Integer, nullable=False),
)

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

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(43), primary_key=True),
    Column("request", String(43), nullable=False),
    Column("status", Integer, nullable=False),
    Column("sealed", LargeBinary),
    Column("expires_at", Double, nullable=False, index=True),
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
