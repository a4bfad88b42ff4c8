"""The transparency log: its entries, the tree over them, and its signed heads; and rounds by their time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables. What was recorded before stays as it is, and has no place in the log."""
    op.create_index("ix_rounds_opens_at", "rounds", ["opens_at"])
    op.create_table(
        "log_entries",
        sa.Column("place", _PLACE, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("document", sa.LargeBinary),
    )
    op.create_index("ix_log_entries_id", "log_entries", ["id"])
    op.create_table(
        "log_tiles",
        sa.Column("level", sa.Integer, primary_key=True),
        sa.Column("place", sa.BigInteger, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("size", _PLACE, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("log_checkpoints", "log_tiles", "log_entries"):
        op.drop_table(name)
    op.drop_index("ix_rounds_opens_at", "rounds")
