"""The console's sessions, by the hash of what a browser holds."""

from collections.abc import Collection

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.console import MAX_SESSIONS, KeptSession
from controlplane.contracts.identity import Person
from controlplane.storage.database import Database
from controlplane.storage.tables_sessions import console_sessions as sessions

KEPT_SECONDS = 900.0
"""How long it is known after a session's end which sign-in began it: longer than a sign-in may take."""


class Sessions:
    """The table of sessions. It never sees what a browser holds, only its SHA-256 in hex.

    Args:
        database: where they are kept.
        most: of one subject at once.
    """

    def __init__(self, database: Database, most: int = MAX_SESSIONS) -> None:
        self._database = database
        self._most = most

    async def begin(self, digest: str, session: KeptSession, sign_in: str | None = None) -> int | None:
        """Keep a session, and end the oldest ones of its subject where there are too many.

        Args:
            digest: of what the browser holds.
            session: it.
            sign_in: digest of the sign-in that begins it, where that counts once.

        Returns:
            How many were ended; none, with nothing changed, where the sign-in has begun one before.
        """
        row = {
            "hash": digest,
            "sign_in": sign_in,
            **session.model_dump(exclude={"person"}),
            "person": None if session.person is None else session.person.model_dump_json(),
        }

        async def _begin(connection: AsyncConnection) -> int | None:
            try:
                await connection.execute(insert(sessions).values(row))
            except IntegrityError:
                await connection.rollback()
                return None
            return await self._displace(connection, session)

        return await self._database.write("begin a session", _begin)

    async def _displace(self, connection: AsyncConnection, session: KeptSession) -> int:
        is_theirs = (sessions.c.subject == session.subject) & (sessions.c.ends_at > session.begun_at)
        newest_first = (sessions.c.begun_at.desc(), sessions.c.hash)
        beyond = select(sessions.c.hash).where(is_theirs).order_by(*newest_first).offset(self._most)
        found = [row.hash for row in (await connection.execute(beyond)).all()]
        if found:
            ended = update(sessions).where(sessions.c.hash.in_(found)).values(ends_at=session.begun_at)
            await connection.execute(ended)
        return len(found)

    async def get(self, digest: str) -> KeptSession | None:
        """Return a session, ended or not; none where nothing is known of it."""
        found = await self._database.read("look up a session", select(sessions).where(sessions.c.hash == digest))
        return _session(found[0]) if found else None

    async def use(self, digest: str, now: float) -> None:
        """Note that a session was used at ``now`` (Unix seconds)."""
        is_older = (sessions.c.hash == digest) & (sessions.c.used_at < now)
        await self._database.change("use a session", update(sessions).where(is_older).values(used_at=now))

    async def end(self, digest: str, now: float) -> bool:
        """End a session; false when there is none that had not ended before ``now`` (Unix seconds)."""
        is_open = (sessions.c.hash == digest) & (sessions.c.ends_at > now)
        return await self._database.change("end a session", update(sessions).where(is_open).values(ends_at=now)) == 1

    async def holding(self, digests: Collection[str], now: float) -> frozenset[str]:
        """Return those of some sessions that have not ended at ``now`` (Unix seconds)."""
        lasts = (sessions.c.ends_at > now) & (sessions.c.used_at + sessions.c.idle_seconds > now)
        query = select(sessions.c.hash).where(sessions.c.hash.in_(digests) & lasts)
        return frozenset(row.hash for row in await self._database.read("look sessions up", query))

    async def purge(self, now: float) -> int:
        """Forget the sessions that ended a while before ``now`` (Unix seconds); return how many."""
        is_past = sessions.c.ends_at <= now - KEPT_SECONDS
        return await self._database.change("forget sessions", delete(sessions).where(is_past))


def _session(row: Row[tuple[object, ...]]) -> KeptSession:
    known = row._mapping
    return KeptSession(
        **{name: known[name] for name in KeptSession.model_fields if name != "person"},
        person=None if known["person"] is None else Person.model_validate_json(known["person"]),
    )
