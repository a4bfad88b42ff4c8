"""Micro-segmentation: where devices are on the network, and what their capabilities open there."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the one row that tells that attachments have changed."""
    op.create_table(
        "segment_attachments",
        sa.Column("device", sa.String(128), primary_key=True),
        sa.Column("address", sa.String(45), nullable=False, unique=True),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("line", sa.String(64)),
        sa.Column("device_class", sa.String(64), nullable=False),
        sa.Column("wireguard", sa.String(44), unique=True),
        sa.Column("recorded_at", sa.Double, nullable=False),
        sa.Column("recorded_by", sa.String(128), nullable=False),
    )
    op.create_table(
        "segment_grants",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("device", sa.String(128), nullable=False),
        sa.Column("source", sa.String(45), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("wireguard", sa.String(44)),
        sa.Column("segment", sa.String(64), nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("line", sa.String(64)),
        sa.Column("device_class", sa.String(64), nullable=False),
        sa.Column("decision", sa.String(128), nullable=False),
        sa.Column("kid", sa.String(128), nullable=False),
        sa.Column("issued_at", sa.Double, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("ix_segment_grants_expires_at", "segment_grants", ["expires_at"])
    op.create_index("ix_segment_grants_made_at", "segment_grants", ["made_at"])
    op.create_index("ix_segment_grants_device", "segment_grants", ["device", "service", "expires_at"])
    op.create_table(
        "segment_changes",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("times", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(
        sa.table("segment_changes", sa.column("name", sa.String), sa.column("times", sa.BigInteger)),
        [{"name": "attachments", "times": 0}],
    )


def downgrade() -> None:
    """Drop the tables: no router learns of any device any more."""
    op.drop_table("segment_changes")
    op.drop_index("ix_segment_grants_device", table_name="segment_grants")
    op.drop_index("ix_segment_grants_made_at", table_name="segment_grants")
    op.drop_index("ix_segment_grants_expires_at", table_name="segment_grants")
    op.drop_table("segment_grants")
    op.drop_table("segment_attachments")
