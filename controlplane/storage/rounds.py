"""Rounds, and how often each subject submitted to them."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, cast, func, not_, select, true, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from controlplane.contracts.base import is_identifier
from controlplane.contracts.rounds import MAX_MEMBERS, MAX_ROUNDS, Round, RoundQuery, RoundStanding
from controlplane.storage.counting import Counts
from controlplane.storage.database import Database
from controlplane.storage.lookups import Coalesced
from controlplane.storage.tables_rounds import contributions, rounds, submissions

_Submission = tuple[str, str]

_UNTOLD = frozenset({"members", "state", "privacy", "confidentiality", "group_size", "grouping"})
"""Columns that a round in numbers says nothing of, or says otherwise."""


class Rounds:
    """The tables of rounds and submissions."""

    def __init__(self, database: Database, counts: Counts) -> None:
        self._database = database
        self._counts = counts
        self._insert = (postgresql if database.kind == "postgresql" else sqlite).insert
        self._submitted = Coalesced(self._look)

    async def add(self, opened: Round) -> bool:
        """Keep a new round; false when its id is taken."""
        terms = None if opened.privacy is None else opened.privacy.model_dump_json()
        values = {**opened.model_dump(), "members": json.dumps(opened.members), "privacy": terms}
        statement = self._insert(rounds).values(values).on_conflict_do_nothing()
        return await self._database.change("open a round", statement) == 1

    async def get(self, round_id: str) -> Round | None:
        """Return a round, or none."""
        if not is_identifier(round_id):
            return None
        found = await self._database.read("look up a round", select(rounds).where(rounds.c.id == round_id))
        if not found:
            return None
        with self._database.understanding("look up a round"):
            return _round(found[0])

    async def before(self, opened: Round) -> Round | None:
        """Return the round of the same model and aggregator that was opened last before this one, or none."""
        is_theirs = (rounds.c.model == opened.model) & (rounds.c.opened_by == opened.opened_by)
        is_earlier = (rounds.c.opens_at <= opened.opens_at) & (rounds.c.id != opened.id)
        query = select(rounds).where(is_theirs & is_earlier).order_by(rounds.c.opens_at.desc(), rounds.c.id.desc())
        found = await self._database.read("look up the round before", query.limit(1))
        with self._database.understanding("look up the round before"):
            return _round(found[0]) if found else None

    async def before_models(self, digest: str, limit: int = 16) -> list[str]:
        """Return the rounds before those that began with a model, the latest first."""
        began = rounds.alias("began")
        earlier = (
            select(rounds.c.id)
            .where((rounds.c.model == began.c.model) & (rounds.c.opened_by == began.c.opened_by))
            .where((rounds.c.opens_at <= began.c.opens_at) & (rounds.c.id != began.c.id))
            .order_by(rounds.c.opens_at.desc(), rounds.c.id.desc())
            .limit(1)
            .correlate(began)
            .scalar_subquery()
        )
        query = select(earlier.label("id")).where(began.c.model_digest == digest).order_by(began.c.opens_at.desc())
        found = await self._database.read("look up what led to a model", query.limit(limit))
        return [row.id for row in found if row.id is not None]

    async def standings(self, query: RoundQuery, now: float, limit: int = 100) -> list[RoundStanding]:
        """Return rounds in numbers, newest first.

        Args:
            query: which ones.
            now: Unix seconds; a round whose time is over is closed.
            limit: how many, at most 1000.
        """
        order = (rounds.c.opens_at.desc(), rounds.c.id.desc())
        wanted = select(rounds.c.id).where(_is_wanted(query, now)).order_by(*order)
        # What came to a round is counted for those alone that are told.
        told = wanted.limit(min(max(limit, 1), MAX_ROUNDS))
        return await self._standings(self._standing_of(now).where(rounds.c.id.in_(told)).order_by(*order))

    async def standing(self, round_id: str, now: float) -> RoundStanding | None:
        """Return a round in numbers, or none."""
        if not is_identifier(round_id):
            return None
        found = await self._standings(self._standing_of(now).where(rounds.c.id == round_id))
        return found[0] if found else None

    async def submitted(self, round_id: str) -> dict[str, int]:
        """Return how many updates came to a round with a capability that held, by subject; of 10,000 at most."""
        if not is_identifier(round_id):
            return {}
        is_its = (submissions.c.round_id == round_id) & (submissions.c.uses > 0)
        query = select(submissions).where(is_its).order_by(submissions.c.subject).limit(MAX_MEMBERS)
        return {row.subject: row.uses for row in await self._database.read("look up submissions", query)}

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

    def _standing_of(self, now: float) -> Select[Any]:
        # The members of many rounds are megabytes: they are counted where they are.
        members = rounds.c.members if self._database.kind == "sqlite" else cast(rounds.c.members, postgresql.JSON)
        accepted = select(func.count()).select_from(contributions).where(contributions.c.round_id == rounds.c.id)
        submitted = select(func.coalesce(func.sum(submissions.c.uses), 0)).where(submissions.c.round_id == rounds.c.id)
        return select(
            *(column for column in rounds.c if column.name not in _UNTOLD),
            func.json_array_length(members).label("members"),
            case((_is_open(now), "open"), else_="closed").label("state"),
            accepted.scalar_subquery().label("accepted"),
            submitted.scalar_subquery().label("submitted"),
        )

    async def _standings(self, query: Select[Any]) -> list[RoundStanding]:
        rows = await self._database.read("list rounds", query)
        with self._database.understanding("list rounds"):
            return [_standing(row) for row in rows]

    async def _look(self, keys: Sequence[_Submission]) -> dict[_Submission, int]:
        query = select(submissions).where(tuple_(submissions.c.round_id, submissions.c.subject).in_(keys))
        found = await self._database.read("look up submissions", query)
        return {(row.round_id, row.subject): row.uses for row in found}


def _is_open(now: float) -> ColumnElement[bool]:
    return (rounds.c.state == "open") & (rounds.c.closes_at > now)


def _is_wanted(query: RoundQuery, now: float) -> ColumnElement[bool]:
    is_open = _is_open(now)
    return and_(
        true() if query.model is None else rounds.c.model == query.model,
        true() if query.state is None else (is_open if query.state == "open" else not_(is_open)),
        true() if query.since is None else rounds.c.opens_at >= query.since,
        true() if query.until is None else rounds.c.opens_at < query.until,
    )


def _standing(row: Row[Any]) -> RoundStanding:
    stated = {name: value for name, value in row._mapping.items() if name != "submitted"}
    return RoundStanding(**stated, dropped=max(0, row.submitted - row.accepted))


def _round(row: Row[Any]) -> Round:
    fields = {name: value for name, value in row._mapping.items() if name in Round.model_fields}
    terms = None if row.privacy is None else json.loads(row.privacy)
    return Round.model_validate({**fields, "members": json.loads(row.members), "privacy": terms})
