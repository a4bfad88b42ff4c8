"""Rounds, and how often each subject submitted to them."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from controlplane.contracts.base import is_identifier
from controlplane.contracts.rounds import Round
from controlplane.storage.counting import Counts
from controlplane.storage.database import Database
from controlplane.storage.lookups import Coalesced
from controlplane.storage.tables import contributions, rounds, submissions

MAX_PAGE = 1000

_Submission = tuple[str, str]


class Listed(NamedTuple):
    """A round, and how many updates went into its model."""

    round: Round
    updates: int


class Rounds:
    """The tables of rounds and submissions."""

    def __init__(self, database: Database, counts: Counts) -> None:
        self._database = database
        self._counts = counts
        self._insert = (postgresql if database.kind == "postgresql" else sqlite).insert
        self._submitted = Coalesced(self._look)

    async def add(self, opened: Round) -> bool:
        """Keep a new round; false when its id is taken."""
        values = {**opened.model_dump(), "members": json.dumps(opened.members)}
        statement = self._insert(rounds).values(values).on_conflict_do_nothing()
        return await self._database.change("open a round", statement) == 1

    async def get(self, round_id: str) -> Round | None:
        """Return a round, or none."""
        if not is_identifier(round_id):
            return None
        found = await self._database.read("look up a round", select(rounds).where(rounds.c.id == round_id))
        if not found:
            return None
        return _round(found[0])

    async def page(self, model: str | None = None, limit: int = 100) -> list[Listed]:
        """Return rounds, newest first, with how many updates went into the model of each.

        Args:
            model: of this one alone.
            limit: how many, at most 1000.
        """
        counted = (
            select(func.count()).select_from(contributions).where(contributions.c.round_id == rounds.c.id)
        ).scalar_subquery()
        query = select(rounds, counted.label("updates")).order_by(rounds.c.opens_at.desc(), rounds.c.id.desc())
        if model is not None:
            query = query.where(rounds.c.model == model)
        rows = await self._database.read("list rounds", query.limit(min(max(limit, 1), MAX_PAGE)))
        with self._database.understanding("list rounds"):
            return [Listed(_round(row), row.updates) for row in rows]

    async def close(self, round_id: str) -> bool:
        """Close an open round; false when there is none of that id."""
        is_open = (rounds.c.id == round_id) & (rounds.c.state == "open")
        return await self._database.change("close a round", update(rounds).where(is_open).values(state="closed")) == 1

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        """Count one more submission for each subject and return the counts before, atomically across replicas.

        Raises:
            StoreUnavailable: there is no such round, or the store failed; nothing was counted.
        """
        return await self._counts.submissions(round_id, subjects)

    async def give_back_submissions(self, round_id: str, subjects: Sequence[str]) -> None:
        """Count one submission less for each subject that has any.

        Raises:
            StoreUnavailable: the store failed; nothing was changed.
        """
        await self._counts.fewer_submissions(round_id, subjects)

    async def submissions(self, round_id: str, subject: str) -> int:
        """Return how many updates a subject submitted to a round."""
        if not is_identifier(round_id) or not is_identifier(subject):
            return 0
        return await self._submitted.get((round_id, subject)) or 0

    async def _look(self, keys: Sequence[_Submission]) -> dict[_Submission, int]:
        query = select(submissions).where(tuple_(submissions.c.round_id, submissions.c.subject).in_(keys))
        found = await self._database.read("look up submissions", query)
        return {(row.round_id, row.subject): row.uses for row in found}


def _round(row: Row[Any]) -> Round:
    fields = {name: value for name, value in row._mapping.items() if name in Round.model_fields}
    return Round.model_validate({**fields, "members": json.loads(row.members)})
