"""What is known of an identity: as a ledger has it, or as later records of ours do that are not final yet."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.histories import Identity
from controlplane.identifiers.records import Record, SignedRecord
from controlplane.storage.tables_identity import identities, identity_records


def identity_of(record: Record, before: Identity | None = None) -> Identity:
    """Return what a record that was judged before makes of its subject.

    Args:
        record: it.
        before: what was known; only a revocation, which names no key, needs it.
    """
    said = record.statement
    if said.key is None:
        assert before is not None  # noqa: S101 - nobody is revoked who was not registered
        return replace(before, is_revoked=True, sequence=said.sequence, head=record.hash)
    return Identity(said.kind, said.subject, said.issuer, said.key, sequence=said.sequence, head=record.hash)


async def known_in(connection: AsyncConnection, ledger: str, subject: str) -> Identity | None:
    """Return an identity as it is known within a transaction."""
    followed, made = looks(ledger, subject)
    return merged((await connection.execute(followed)).all(), (await connection.execute(made)).all())


def looks(ledger: str, subject: str) -> tuple[Select[Any], Select[Any]]:
    """Return what asks for an identity as a ledger has it, and for the latest records of it that were made here."""
    is_it = (identities.c.ledger == ledger) & (identities.c.subject == subject)
    query = select(identity_records.c.document).where(identity_records.c.subject == subject)
    return select(identities).where(is_it), query.order_by(identity_records.c.sequence.desc()).limit(2)


def merged(rows: Sequence[Row[Any]], kept: Sequence[Row[Any]]) -> Identity | None:
    """Return an identity as a ledger has it, or as later records of ours do."""
    followed = row_identity(rows[0]) if rows else None
    made: Identity | None = None
    for one in reversed(kept):
        record = SignedRecord.model_validate_json(one.document).read()
        before = made or followed
        made = None if record.statement.key is None and before is None else identity_of(record, before)
    if followed is None or made is None:
        return made or followed
    return followed if followed.sequence >= made.sequence else made


def row_identity(row: Row[Any]) -> Identity:
    """Return an identity of its row."""
    return Identity(
        kind=row.kind,
        subject=row.subject,
        issuer=row.issuer,
        key=PublicKey(kty="EC", crv="P-256", x=row.key_x, y=row.key_y),
        is_revoked=bool(row.is_revoked),
        sequence=row.sequence,
        head=row.head,
        is_founder=bool(row.is_founder),
    )
