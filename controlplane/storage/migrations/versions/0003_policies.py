"""Published policies, candidates in the shadow, exceptions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_releases()
    _create_shadows()
    _create_exceptions()


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "policy_exceptions",
        "policy_disagreements",
        "policy_shadows",
        "policy_releases",
        "policy_bundles",
    ):
        op.drop_table(name)


def _create_releases() -> None:
    op.create_table(
        "policy_bundles",
        sa.Column("digest", sa.String(71), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "policy_releases",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("layer", sa.String(16), nullable=False),
        sa.Column("revision", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(71), sa.ForeignKey("policy_bundles.digest"), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("published_at", sa.Double, nullable=False),
        sa.Column("published_by", sa.String(128), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
    )
    op.create_index("ix_policy_releases_layer", "policy_releases", ["layer", "sequence"])


def _create_shadows() -> None:
    op.create_table(
        "policy_shadows",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("revision", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(71), sa.ForeignKey("policy_bundles.digest"), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("started_by", sa.String(128), nullable=False),
        sa.Column("stopped_at", sa.Double),
        sa.Column("agreed", sa.BigInteger, nullable=False),
        sa.Column("newly_denied", sa.BigInteger, nullable=False),
        sa.Column("newly_allowed", sa.BigInteger, nullable=False),
        sa.Column("other_reasons", sa.BigInteger, nullable=False),
        sa.Column("other_terms", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_policy_shadows_started_at", "policy_shadows", ["started_at"])
    op.create_table(
        "policy_disagreements",
        sa.Column(
            "shadow_id", sa.String(128), sa.ForeignKey("policy_shadows.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("change", sa.String(16), primary_key=True),
        sa.Column("action", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(64), primary_key=True),
        sa.Column("segment", sa.String(64), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.Text, nullable=False),
    )


def _create_exceptions() -> None:
    op.create_table(
        "policy_exceptions",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("resource", sa.String(256), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("waives", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("approver", sa.String(128), nullable=False),
        sa.Column("granted_at", sa.Double, nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.Column("revoked_by", sa.String(128)),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("last_used_at", sa.Double),
    )
    op.create_index("ix_policy_exceptions_subject", "policy_exceptions", ["subject"])
    op.create_index("ix_policy_exceptions_ends_at", "policy_exceptions", ["ends_at", "revoked_at", "granted_at"])
