"""Signing keys, revocations, security events, answers to repeated requests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_keys()
    _create_revocations()
    _create_idempotency()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("idempotency", "security_events", "revocations", "signing_keys"):
        op.drop_table(name)


def _create_keys() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(43), primary_key=True),
        sa.Column("key_x", sa.String(43), nullable=False),
        sa.Column("key_y", sa.String(43), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("signs_from", sa.Double, nullable=False),
        sa.Column("withdrawn_at", sa.Double),
    )


def _create_revocations() -> None:
    op.create_table(
        "revocations",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("value", sa.String(128), primary_key=True),
        sa.Column("revoked_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("ix_revocations_expires_at", "revocations", ["expires_at"])
    op.create_table(
        "security_events",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_security_events_time", "security_events", ["time"])


def _create_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("key", sa.String(43), primary_key=True),
        sa.Column("request", sa.String(43), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])
