"""The tables of rounds, contributions and rollbacks. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, String, Table, Text

from controlplane.storage.tables import metadata

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
    Column("privacy", Text),
    Column("confidentiality", String(16), nullable=False, server_default="plain"),
    Column("group_size", Integer),
    Column("grouping", String(43)),
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
