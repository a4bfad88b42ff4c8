"""Devices: how their trust moved lately."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of the devices of before nothing is known until they are observed again."""
    op.add_column("devices", sa.Column("trust_history", sa.Text))


def downgrade() -> None:
    """Drop the column: policies that read it deny."""
    with op.batch_alter_table("devices") as batch:
        batch.drop_column("trust_history")
