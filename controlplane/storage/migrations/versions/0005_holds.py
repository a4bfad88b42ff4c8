"""What alerts had held, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "holds",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("segment", sa.String(64), nullable=False),
        sa.Column("actions", sa.Text, nullable=False),
        sa.Column("alert", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("alert_started_at", sa.Double, nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("decision_id", sa.String(128), nullable=False),
        sa.Column("released_at", sa.Double),
        sa.Column("released_by", sa.String(128)),
        sa.Column("release_reason", sa.Text),
    )
    op.create_index("ix_holds_ends_at", "holds", ["ends_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("holds")
