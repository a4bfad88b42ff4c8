"""Enrolment tokens, by their hash."""

import json
from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.identity import EnrolmentGrant
from controlplane.storage.database import Database
from controlplane.storage.tables import enrolment_tokens as tokens


class Tokens:
    """The table of enrolment tokens. It never sees a token, only its SHA-256 in hex."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_many(self, grants: Mapping[str, EnrolmentGrant]) -> None:
        """Keep new tokens by their hash, all or none."""
        rows = [
            {
                "hash": token_hash,
                "roles": json.dumps(grant.roles),
                "segment": grant.segment,
                "expires_at": grant.expires_at,
                "uses": grant.uses,
            }
            for token_hash, grant in grants.items()
        ]
        if rows:
            await self._database.change("keep enrolment tokens", insert(tokens), rows)

    async def get(self, token_hash: str) -> EnrolmentGrant | None:
        """Return what a token allows, used or expired or not; none when nobody issued it."""
        query = select(tokens).where(tokens.c.hash == token_hash)
        found = await self._database.read("look up an enrolment token", query)
        if not found:
            return None
        row = found[0]
        return EnrolmentGrant(
            roles=json.loads(row.roles), segment=row.segment, expires_at=row.expires_at, uses=row.uses
        )

    async def consume(self, token_hash: str, now: float) -> bool:
        """Use up a token; false when it is unknown, was used, or expired before ``now`` (Unix seconds)."""
        return await self._database.write("use an enrolment token", lambda to: consume_token(to, token_hash, now))

    async def purge(self, now: float) -> int:
        """Forget the tokens that expired before ``now`` (Unix seconds); return how many."""
        is_past = tokens.c.expires_at <= now
        return await self._database.change("forget expired enrolment tokens", delete(tokens).where(is_past))


async def consume_token(connection: AsyncConnection, token_hash: str, now: float) -> bool:
    """Use up a token within a transaction; false when it is unknown, was used, or expired before ``now``."""
    is_usable = (tokens.c.hash == token_hash) & (tokens.c.uses == 0) & (tokens.c.expires_at > now)
    return (await connection.execute(update(tokens).where(is_usable).values(uses=1))).rowcount == 1
