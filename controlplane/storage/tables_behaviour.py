"""The tables of how subjects stand, and of what told so. `migrations` creates them; a test holds the two equal."""

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from controlplane.storage.tables import metadata

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
