"""Limits that replicas share: seen proofs, allowances of requests, and use in windows."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. All are logged: what is forgotten of any of them would let something through twice."""
    op.create_table(
        "shared_proofs",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("ix_shared_proofs_expires_at", "shared_proofs", ["expires_at"])
    op.create_table(
        "shared_rates",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("full_at", sa.Double, nullable=False),
        sa.Column("granted", sa.Double, nullable=False),
        # Rows change all the time and in place: room for that on each page.
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "shared_usage",
        sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": "50"},
    )


def downgrade() -> None:
    """Drop the tables: each machine counts for itself again."""
    op.drop_table("shared_usage")
    op.drop_table("shared_rates")
    op.drop_index("ix_shared_proofs_expires_at", table_name="shared_proofs")
    op.drop_table("shared_proofs")
