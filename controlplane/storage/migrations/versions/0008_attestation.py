"""Attestation: challenges, and what became of evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. What was proven of a device says until when it counts."""
    op.add_column("devices", sa.Column("attestation_expires_at", sa.Double))
    op.create_table(
        "attestation_challenges",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("device", sa.String(128), sa.ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(43), nullable=False),
        sa.Column("kept", sa.LargeBinary),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("ix_attestation_challenges_expires_at", "attestation_challenges", ["expires_at"])
    op.create_index("ix_attestation_challenges_device", "attestation_challenges", ["device", "made_at"])
    op.create_table(
        "attestations",
        sa.Column("device", sa.String(128), sa.ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(256), nullable=False),
        sa.Column("verified_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("release_suite", sa.String(32)),
        sa.Column("release_key", sa.Text),
        sa.Column("decision_id", sa.String(128), nullable=False),
        sa.Column("result", sa.Text, nullable=False),
    )
    op.create_index("ix_attestations_expires_at", "attestations", ["expires_at"])
    op.create_index("ix_attestations_platform", "attestations", ["platform", "expires_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("attestations")
    op.drop_table("attestation_challenges")
    op.drop_column("devices", "attestation_expires_at")
