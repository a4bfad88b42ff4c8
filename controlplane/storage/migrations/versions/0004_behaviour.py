"""What is kept of behaviour, of who contributed to a model, and of rollbacks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    with op.batch_alter_table("rounds") as batch:
        batch.add_column(sa.Column("aggregation", sa.String(32), nullable=False, server_default="mean"))
    _create_rollback()
    _create_behaviour()


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "behaviour_profiles",
        "behaviour_verdicts",
        "behaviour_scores",
        "behaviour",
        "rollbacks",
        "contributions",
    ):
        op.drop_table(name)
    with op.batch_alter_table("rounds") as batch:
        batch.drop_column("aggregation")


def _create_rollback() -> None:
    op.create_table(
        "contributions",
        sa.Column("round_id", sa.String(128), sa.ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("update_digest", sa.String(71), nullable=False),
        sa.Column("decision_id", sa.String(128), nullable=False),
        sa.Column("time", sa.Double, nullable=False),
    )
    op.create_index("ix_contributions_subject", "contributions", ["subject"])
    op.create_index("ix_contributions_time", "contributions", ["time"])
    op.create_table(
        "rollbacks",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("round_id", sa.String(128), nullable=False),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ordered_by", sa.String(128), nullable=False),
        sa.Column("ordered_at", sa.Double, nullable=False),
        sa.Column("decision_id", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("model_digest", sa.String(71)),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("left_out", sa.Integer, nullable=False),
        sa.Column("fault", sa.String(256), nullable=False),
    )
    op.create_index("ix_rollbacks_ordered_at", "rollbacks", ["ordered_at"])
    op.create_index("ix_rollbacks_model_state", "rollbacks", ["model", "state"])


def _create_behaviour() -> None:
    op.create_table(
        "behaviour",
        sa.Column("subject", sa.String(128), sa.ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("wealth", sa.Text, nullable=False),
        sa.Column("e_value", sa.Double, nullable=False),
        sa.Column("conforming", sa.Double, nullable=False),
        sa.Column("deviating", sa.Double, nullable=False),
        sa.Column("observed_at", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_behaviour_state_since", "behaviour", ["state", "since"])
    op.create_index("ix_behaviour_e_value", "behaviour", ["e_value"])
    op.create_table(
        "behaviour_scores",
        sa.Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("peers", sa.String(128), nullable=False),
        sa.Column("round_id", sa.String(128), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
    )
    op.create_index("ix_behaviour_scores_time", "behaviour_scores", ["time"])
    op.create_index("ix_behaviour_scores_peers", "behaviour_scores", ["channel", "peers", "id"])
    op.create_table(
        "behaviour_verdicts",
        sa.Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_behaviour_verdicts_time", "behaviour_verdicts", ["time"])
    op.create_index("ix_behaviour_verdicts_subject", "behaviour_verdicts", ["subject", "id"])
    op.create_table(
        "behaviour_profiles",
        sa.Column("subject", sa.String(128), sa.ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("channel", sa.String(16), primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
