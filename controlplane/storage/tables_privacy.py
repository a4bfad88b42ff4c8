"""The tables of privacy budgets: accounts, and what was charged to them."""

from sqlalchemy import Column, Double, Index, Integer, String, Table

from controlplane.storage.tables import metadata

privacy_accounts = Table(
    "privacy_accounts",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("data_set", String(128), primary_key=True),
    # How often it was charged: whoever charges names the number that it saw.
    Column("charges", Integer, nullable=False),
    Column("charged_at", Double, nullable=False),
    Index("ix_privacy_accounts_data_set", "data_set", "scope", "id"),
)

privacy_spending = Table(
    "privacy_spending",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("data_set", String(128), primary_key=True),
    # Days since 1970 (UTC); -1 holds what no window reaches any more.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("mode", String(16), primary_key=True),
    Column("noise_multiplier", Double, primary_key=True),
    # 1 where nothing is drawn.
    Column("sampling", Double, primary_key=True),
    Column("times", Integer, nullable=False),
    Index("ix_privacy_spending_day", "day"),
)
