"""Rounds: what their aggregators see of updates, and which members are summed with whom."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of the rounds of before each update was seen."""
    op.add_column("rounds", sa.Column("confidentiality", sa.String(16), nullable=False, server_default="plain"))
    op.add_column("rounds", sa.Column("group_size", sa.Integer))
    op.add_column("rounds", sa.Column("grouping", sa.String(43)))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("rounds") as batch:
        batch.drop_column("grouping")
        batch.drop_column("group_size")
        batch.drop_column("confidentiality")
