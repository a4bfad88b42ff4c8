"""Count-and-return in one statement, so that two replicas never both see the count before; and count back."""

import json
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Column, ColumnElement, Row, TextClause, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage.database import Database
from controlplane.storage.tables_capabilities import capability_uses
from controlplane.storage.tables_rounds import submissions

MAX_COUNTED = 10_000

_LIST = {"sqlite": "json_each(:given)", "postgresql": "json_array_elements_text(CAST(:given AS json)) AS given(value)"}
_PAIRS = {"sqlite": "json_each(:given)", "postgresql": "json_each_text(CAST(:given AS json)) AS given"}

# One order of rows for everybody: two replicas that count the same rows cannot wait for one another in a ring.
_SUBMISSIONS = """
    INSERT INTO submissions (round_id, subject, uses)
    SELECT :round_id, value, 1 FROM SOURCE WHERE true ORDER BY value
    ON CONFLICT (round_id, subject) DO UPDATE SET uses = submissions.uses + 1
    RETURNING subject, uses
"""
_CAPABILITIES = """
    INSERT INTO capability_uses (jti, expires_at, uses)
    SELECT key, CAST(value AS double precision), 1 FROM SOURCE WHERE true ORDER BY key
    ON CONFLICT (jti) DO UPDATE SET uses = capability_uses.uses + 1
    RETURNING jti, uses
"""


class Counts:
    """Counters that every replica shares.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._submissions = _statement(_SUBMISSIONS, _LIST[database.kind])
        self._capabilities = _statement(_CAPABILITIES, _PAIRS[database.kind])

    async def submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        """Count one submission for each subject (named once each) and return the counts before.

        Raises:
            ValueError: a subject is named twice, or more than 10,000 are.
        """
        if len(set(subjects)) != len(subjects):
            raise ValueError("every subject is counted once; one is named twice")
        parameters = {"round_id": round_id, "given": json.dumps(subjects)}
        return await self._count("count submissions", self._submissions, len(subjects), parameters)

    async def capabilities(self, expiries: Mapping[str, float]) -> dict[str, int]:
        """Count one use of each capability, by id with its expiry (Unix seconds), and return the uses before.

        Raises:
            ValueError: more than 10,000 are named.
        """
        parameters = {"given": json.dumps(dict(expiries), allow_nan=False)}
        return await self._count("count uses of capabilities", self._capabilities, len(expiries), parameters)

    async def fewer_submissions(self, round_id: str, subjects: Collection[str]) -> None:
        """Count one submission less for each subject that has any."""
        at = submissions.c
        await self._fewer("take submissions back", at.subject, at.uses, subjects, at.round_id == round_id)

    async def fewer_capabilities(self, jtis: Collection[str]) -> None:
        """Count one use less of each capability that has any."""
        await self._fewer("give capabilities back", capability_uses.c.jti, capability_uses.c.uses, jtis)

    async def _fewer(
        self,
        what: str,
        name: Column[str],
        uses: Column[int],
        names: Collection[str],
        of: ColumnElement[bool] | None = None,
    ) -> None:
        if not names:
            return
        # Locked in the order in which they are counted: two replicas cannot wait for one another in a ring.
        which = name.in_(names) & (uses > 0) & (true() if of is None else of)
        locked = select(name).where(which).order_by(name).with_for_update()
        statement = update(name.table).where(which & name.in_(locked)).values(uses=uses - 1)
        await self._database.change(what, statement)

    async def _count(
        self, what: str, statement: TextClause, size: int, parameters: Mapping[str, str]
    ) -> dict[str, int]:
        if size > MAX_COUNTED:
            raise ValueError(f"at most {MAX_COUNTED} are counted in one go, got {size}")
        if size == 0:
            return {}

        async def _counted(connection: AsyncConnection) -> Sequence[Row[str, int]]:
            return (await connection.execute(statement, parameters)).all()

        return {name: uses - 1 for name, uses in await self._database.write(what, _counted)}


def _statement(sql: str, source: str) -> TextClause:
    return text(sql.replace("SOURCE", source))
