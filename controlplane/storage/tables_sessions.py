"""The table of the console's sessions."""

from sqlalchemy import Column, Double, String, Table, Text

from controlplane.storage.tables import metadata

console_sessions = Table(
    "console_sessions",
    metadata,
    # SHA-256 of what the browser holds, in hex.
    Column("hash", String(64), primary_key=True),
    Column("subject", String(128), nullable=False, index=True),
    Column("person", Text),
    Column("key_thumbprint", String(43)),
    # SHA-256 of the sign-in that began it, which begins no other.
    Column("sign_in", String(64), unique=True),
    Column("begun_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("idle_seconds", Double, nullable=False),
    Column("ends_at", Double, nullable=False, index=True),
)
