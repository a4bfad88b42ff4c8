"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_identity()
    _create_rounds()
    _create_decisions()


def downgrade() -> None:
    """Drop the tables, the referring one first."""
    for name in ("decisions", "capability_uses", "submissions", "rounds", "enrolment_tokens", "devices"):
        op.drop_table(name)


def _create_identity() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("key_thumbprint", sa.String(43), nullable=False, unique=True),
        sa.Column("key_x", sa.String(43), nullable=False),
        sa.Column("key_y", sa.String(43), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("segment", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attestation_level", sa.String(16), nullable=False),
        sa.Column("attestation_verified_at", sa.Double),
        sa.Column("trust_score", sa.Double, nullable=False),
        sa.Column("trust_observations", sa.Integer, nullable=False),
        sa.Column("enrolled_at", sa.Double, nullable=False),
    )
    op.create_table(
        "enrolment_tokens",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("segment", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("uses", sa.Integer, nullable=False),
    )


def _create_rounds() -> None:
    op.create_table(
        "rounds",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_digest", sa.String(71), nullable=False),
        sa.Column("members", sa.Text, nullable=False),
        sa.Column("opened_by", sa.String(128), nullable=False),
        sa.Column("opens_at", sa.Double, nullable=False),
        sa.Column("closes_at", sa.Double, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_table(
        "submissions",
        sa.Column("round_id", sa.String(128), sa.ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("uses", sa.Integer, nullable=False),
    )
    op.create_table(
        "capability_uses",
        sa.Column("jti", sa.String(128), primary_key=True),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("uses", sa.Integer, nullable=False),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_decisions_time", "decisions", ["time"])
