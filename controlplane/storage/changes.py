"""Marks by which one sees that something has changed, without looking at what it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ScalarSelect, Select, Table, exists, func, select

from controlplane.contracts.changes import ChangeKind
from controlplane.storage.database import Database
from controlplane.storage.tables import devices
from controlplane.storage.tables_attestation import attestations
from controlplane.storage.tables_behaviour import behaviour_scores, behaviour_verdicts
from controlplane.storage.tables_capabilities import security_events
from controlplane.storage.tables_log import decisions, log_entries
from controlplane.storage.tables_policies import holds, policy_exceptions, policy_releases, policy_shadows
from controlplane.storage.tables_rounds import contributions, rollbacks, rounds
from controlplane.storage.tables_segments import segment_changes

Mark = tuple[object, ...]

NEAR_ROWS = 500
"""Rows of a table with numbers that are counted: whoever took a number earlier may write its row later."""

NEAR_SECONDS = 60.0
"""The same of a table with times, for clocks of replicas that are apart."""

MOST_LOOKED_AT = 5_000
"""Entries of the log that are looked through; where there are more, something of any kind is among them."""


@dataclass(frozen=True)
class Marks:
    """How far everything is.

    Attributes:
        by_kind: another mark says that something of that kind may have changed.
        place: of the newest entry of the log; -1 before the first.
    """

    by_kind: Mapping[ChangeKind, Mark]
    place: int


class Changes:
    """Looks how far tables are, by their indexes alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._named: dict[ChangeKind, list[str]] = {}
        columns = []
        for kind, marks in _MARKS.items():
            self._named[kind] = [f"{kind}_{number}" for number in range(len(marks))]
            columns += [one.label(name) for one, name in zip(marks, self._named[kind], strict=True)]
        self._marks = select(*columns, _highest(log_entries.c.place).label("place"))

    async def marks(self) -> Marks:
        """Return how far everything is; of decisions only `decided` says."""
        row = (await self._database.read("look for changes", self._marks))[0]
        found: dict[ChangeKind, Mark] = {
            kind: tuple(row._mapping[name] for name in names) for kind, names in self._named.items()
        }
        return Marks(found, -1 if row.place is None else int(row.place))

    async def decided(self, since: int, until: int) -> bool:
        """Whether the log has decisions after one place, up to another, that are about more than this API."""
        if until - since > MOST_LOOKED_AT:
            return True
        is_new = (log_entries.c.place > since) & (log_entries.c.place <= until) & (log_entries.c.kind == "decision")
        is_other = exists().where((decisions.c.id == log_entries.c.id) & (decisions.c.action != "admin"))
        query = select(log_entries.c.place).where(is_new & is_other).limit(1)
        return bool(await self._database.read("look for decisions", query))


def _highest(column: Column[Any]) -> ScalarSelect[Any]:
    return select(func.max(column)).scalar_subquery()


def _near(column: Column[Any], margin: float) -> ScalarSelect[Any]:
    return select(func.count()).where(column > _highest(column) - margin).scalar_subquery()


def _scalar(query: Select[Any]) -> ScalarSelect[Any]:
    return query.scalar_subquery()


def _rows(table: Table, ended: Column[Any] | None = None) -> list[ScalarSelect[Any]]:
    """Marks of a table of few rows, each of which may end."""
    counted = [func.count(), *([] if ended is None else [func.count(ended)])]
    return [_scalar(select(one).select_from(table)) for one in counted]


def _numbered(column: Column[Any]) -> list[ScalarSelect[Any]]:
    return [_highest(column), _near(column, NEAR_ROWS)]


def _dated(column: Column[Any]) -> list[ScalarSelect[Any]]:
    return [_highest(column), _near(column, NEAR_SECONDS)]


_BEHAVIOUR = [*_numbered(behaviour_scores.c.id), *_numbered(behaviour_verdicts.c.id)]

_MARKS: dict[ChangeKind, list[ScalarSelect[Any]]] = {
    "rounds": [*_dated(rounds.c.opens_at), *_dated(contributions.c.time), *_BEHAVIOUR],
    "devices": [
        *_BEHAVIOUR,
        *_rows(devices),
        _highest(security_events.c.sequence),
        *_rows(attestations),
        _scalar(select(func.sum(attestations.c.expires_at))),
        _scalar(select(func.sum(segment_changes.c.times))),
    ],
    "policies": [
        _highest(policy_releases.c.sequence),
        *_rows(policy_shadows, policy_shadows.c.stopped_at),
        *_rows(policy_exceptions, policy_exceptions.c.revoked_at),
        *_rows(holds, holds.c.released_at),
    ],
    "rollbacks": [
        *_dated(rollbacks.c.ordered_at),
        *(
            _scalar(select(func.count()).select_from(rollbacks).where(rollbacks.c.state == state))
            for state in ("ordered", "done", "failed")
        ),
    ],
}
