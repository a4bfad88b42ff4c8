"""Identities: the keys that devices had, signed records of them, and what a ledger says."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables. Who was enrolled before has no record yet, and is noted for one."""
    op.create_table(
        "device_keys",
        sa.Column("thumbprint", sa.String(43), primary_key=True),
        sa.Column("device", sa.String(128), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    op.create_index("ix_device_keys_device", "device_keys", ["device"])
    op.create_table(
        "identity_records",
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("number", sa.Integer, unique=True),
        sa.Column("place", _PLACE, unique=True),
        sa.Column("anchored_at", sa.Double),
    )
    op.create_index("ix_identity_records_anchored_at", "identity_records", ["anchored_at", "made_at"])
    op.create_table("identity_pending", sa.Column("device", sa.String(128), primary_key=True))
    op.execute("INSERT INTO identity_pending (device) SELECT id FROM devices")
    op.create_table(
        "ledger_cursors",
        sa.Column("ledger", sa.String(16), primary_key=True),
        sa.Column("cursor", sa.Text),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("read_at", sa.Double, nullable=False),
    )
    op.create_table(
        "ledger_records",
        sa.Column("ledger", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("place", sa.String(128), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("refusal", sa.String(32), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_ledger_records_subject", "ledger_records", ["ledger", "subject", "number"])
    op.create_index("ix_ledger_records_place", "ledger_records", ["ledger", "place"])
    op.create_table(
        "identities",
        sa.Column("ledger", sa.String(16), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("issuer", sa.String(128), nullable=False),
        sa.Column("key_x", sa.String(43), nullable=False),
        sa.Column("key_y", sa.String(43), nullable=False),
        sa.Column("is_revoked", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("head", sa.String(64)),
        sa.Column("is_founder", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "identities",
        "ledger_records",
        "ledger_cursors",
        "identity_pending",
        "identity_records",
        "device_keys",
    ):
        op.drop_table(name)
