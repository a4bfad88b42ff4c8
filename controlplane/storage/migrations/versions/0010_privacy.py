"""Privacy budgets: accounts, what was charged to them, and what a round's noise has to be."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; rounds of before come without noise."""
    op.create_table(
        "privacy_accounts",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("data_set", sa.String(128), primary_key=True),
        sa.Column("charges", sa.Integer, nullable=False),
        sa.Column("charged_at", sa.Double, nullable=False),
    )
    op.create_index("ix_privacy_accounts_data_set", "privacy_accounts", ["data_set", "scope", "id"])
    op.create_table(
        "privacy_spending",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("data_set", sa.String(128), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("mode", sa.String(16), primary_key=True),
        sa.Column("noise_multiplier", sa.Double, primary_key=True),
        sa.Column("sampling", sa.Double, primary_key=True),
        sa.Column("times", sa.Integer, nullable=False),
    )
    op.create_index("ix_privacy_spending_day", "privacy_spending", ["day"])
    op.add_column("rounds", sa.Column("privacy", sa.Text))


def downgrade() -> None:
    """Drop the tables."""
    op.drop_column("rounds", "privacy")
    op.drop_table("privacy_spending")
    op.drop_table("privacy_accounts")
