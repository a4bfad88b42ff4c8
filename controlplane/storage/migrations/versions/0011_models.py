"""Models whose signatures were verified: versions, the digests that they stand for, and where rounds began."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("id", sa.String(71), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("root", sa.String(71), nullable=False),
        sa.Column("signer", sa.String(64), nullable=False),
        sa.Column("signed_as", sa.String(256), nullable=False),
        sa.Column("tensors", sa.String(71)),
        sa.Column("registered_at", sa.Double, nullable=False),
        sa.Column("registered_by", sa.String(128), nullable=False),
        sa.Column("decision_id", sa.String(128)),
        sa.Column("withdrawn_at", sa.Double),
        sa.Column("withdrawn_by", sa.String(128)),
        sa.Column("withdrawn_why", sa.Text),
        sa.Column("bundle", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_model_versions_registered_at", "model_versions", ["model", "registered_at"])
    op.create_table(
        "model_digests",
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("version", sa.String(71), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "version"], ["model_versions.model", "model_versions.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("ix_model_digests_digest", "model_digests", ["model", "digest"])
    op.create_table(
        "round_bases",
        sa.Column("round_id", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("version", sa.String(71), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("round_bases", "model_digests", "model_versions"):
        op.drop_table(name)
