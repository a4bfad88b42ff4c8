"""Budgets of inference: what was used and leased in each window, and the leases."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "budget_accounts",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("span", sa.String(16), primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("requests_used", sa.BigInteger, nullable=False),
        sa.Column("requests_leased", sa.BigInteger, nullable=False),
        sa.Column("tokens_used", sa.BigInteger, nullable=False),
        sa.Column("tokens_leased", sa.BigInteger, nullable=False),
        sa.Column("requests_limit", sa.BigInteger, nullable=False),
        sa.Column("tokens_limit", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_budget_accounts_starts_at", "budget_accounts", ["starts_at"])
    op.create_table(
        "budget_leases",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("gateway", sa.String(128), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("segment", sa.String(128), nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("leased_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("decision", sa.String(128), nullable=False),
        sa.Column("settled_at", sa.Double),
        sa.Column("requests_used", sa.BigInteger),
        sa.Column("tokens_used", sa.BigInteger),
    )
    op.create_index("ix_budget_leases_subject", "budget_leases", ["subject", "model", "expires_at"])
    op.create_index("ix_budget_leases_leased_at", "budget_leases", ["leased_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("budget_leases")
    op.drop_table("budget_accounts")
