"""The tables of budgets of inference: what was used and leased in each window, and the leases."""

from sqlalchemy import BigInteger, Column, Double, Index, String, Table

from controlplane.storage.tables import metadata

budget_accounts = Table(
    "budget_accounts",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("id", String(128), primary_key=True),
    # Name of the kind of window: an hour, a day.
    Column("span", String(16), primary_key=True),
    # Unix seconds at which the window begins.
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("requests_used", BigInteger, nullable=False),
    # Out with gateways, and not settled.
    Column("requests_leased", BigInteger, nullable=False),
    Column("tokens_used", BigInteger, nullable=False),
    Column("tokens_leased", BigInteger, nullable=False),
    # That the latest lease was decided with.
    Column("requests_limit", BigInteger, nullable=False),
    Column("tokens_limit", BigInteger, nullable=False),
    Index("ix_budget_accounts_starts_at", "starts_at"),
)

budget_leases = Table(
    "budget_leases",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("gateway", String(128), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("segment", String(128), nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    # Whose windows it was taken from are those that this lies in.
    Column("leased_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("decision", String(128), nullable=False),
    # None as long as its gateway has not said what it used.
    Column("settled_at", Double),
    Column("requests_used", BigInteger),
    Column("tokens_used", BigInteger),
    Index("ix_budget_leases_subject", "subject", "model", "expires_at"),
    Index("ix_budget_leases_leased_at", "leased_at"),
)
