"""Answers that are kept for requests that may be sent again, by a hash of caller and key."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage.database import Database
from controlplane.storage.tables import idempotency

MOST_KEPT = 50_000
"""Keys that are kept at once, of all callers together."""

UNDER_WAY = 0
"""Stands for the status of a request that is not answered yet."""

# The one statement that takes a key: a new one, or one whose time is over. Nobody else can take it in between.
_CLAIM = text(
    """
    INSERT INTO idempotency (key, request, status, sealed, expires_at)
    SELECT :key, :request, 0, NULL, :until
    WHERE (SELECT count(*) FROM (SELECT 1 FROM idempotency LIMIT :most) AS kept) < :most
    ON CONFLICT (key) DO UPDATE
    SET request = excluded.request, status = 0, sealed = NULL, expires_at = excluded.expires_at
    WHERE idempotency.expires_at <= :now
    RETURNING key
    """
)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What stands under a key.

    Attributes:
        request: fingerprint of the request that the key was used for.
        status: of its answer; 0 while it is under way.
        sealed: the answer; none while it is under way, or when it could not be kept.
    """

    request: str
    status: int
    sealed: bytes | None


class Idempotency:
    """The table of kept answers.

    Args:
        database: where they are kept.
        most: keys that are kept at once.
    """

    def __init__(self, database: Database, most: int = MOST_KEPT) -> None:
        self._database = database
        self._most = most

    async def claim(self, key: str, request: str, now: float, until: float) -> KeptAnswer | Literal["claimed", "full"]:
        """Take ``key`` for ``request`` until ``until`` (Unix seconds), unless something stands under it.

        Returns:
            ``claimed``, and then the caller alone carries the request out; what stands under the key; or ``full``,
            when there is no room for another.
        """
        parameters = {"key": key, "request": request, "now": now, "until": until, "most": self._most}
        query = select(idempotency.c.request, idempotency.c.status, idempotency.c.sealed)

        async def _claim(connection: AsyncConnection) -> KeptAnswer | Literal["claimed", "full"]:
            if (await connection.execute(_CLAIM, parameters)).first() is not None:
                return "claimed"
            found = (await connection.execute(query.where(idempotency.c.key == key))).first()
            return "full" if found is None else KeptAnswer(found.request, found.status, found.sealed)

        return await self._database.write("take an idempotency key", _claim)

    async def keep(self, key: str, until: float, status: int, sealed: bytes | None, expires_at: float) -> bool:
        """Keep the answer of a request that was claimed until ``until``; false when the claim is lost."""
        mine = (idempotency.c.key == key) & (idempotency.c.status == UNDER_WAY) & (idempotency.c.expires_at == until)
        statement = update(idempotency).where(mine).values(status=status, sealed=sealed, expires_at=expires_at)
        return await self._database.change("keep an answer", statement) == 1

    async def release(self, key: str, until: float) -> None:
        """Give back a key that was claimed until ``until``: what was asked had no effect."""
        mine = (idempotency.c.key == key) & (idempotency.c.status == UNDER_WAY) & (idempotency.c.expires_at == until)
        await self._database.change("give back an idempotency key", delete(idempotency).where(mine))

    async def purge(self, now: float) -> int:
        """Forget the answers whose time was over at ``now`` (Unix seconds); return how many."""
        is_past = idempotency.c.expires_at <= now
        return await self._database.change("forget kept answers", delete(idempotency).where(is_past))
