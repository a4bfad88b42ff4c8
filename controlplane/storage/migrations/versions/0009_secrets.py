"""Keys that are released to attested platforms."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "released_secrets",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("made_here", sa.Boolean, nullable=False),
        sa.Column("registered_by", sa.String(128), nullable=False),
        sa.Column("registered_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Drop the table, and with it every secret that was made here."""
    op.drop_table("released_secrets")
