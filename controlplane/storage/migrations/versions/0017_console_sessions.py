"""The console's sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "console_sessions",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("person", sa.Text),
        sa.Column("key_thumbprint", sa.String(43)),
        sa.Column("sign_in", sa.String(64), unique=True),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("idle_seconds", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
    )
    op.create_index("ix_console_sessions_subject", "console_sessions", ["subject"])
    op.create_index("ix_console_sessions_ends_at", "console_sessions", ["ends_at"])


def downgrade() -> None:
    """Drop the table: whoever is signed in signs in again."""
    op.drop_index("ix_console_sessions_ends_at", table_name="console_sessions")
    op.drop_index("ix_console_sessions_subject", table_name="console_sessions")
    op.drop_table("console_sessions")
