"""All devices with where each stands: found by what is asked of them, in pages, and counted."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, String, and_, case, func, literal, or_, select, true, tuple_

from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.devices import MAX_DEVICES, MAX_TOTAL, DeviceOrder, DeviceQuery, ListedDevice, Stands
from controlplane.contracts.identity import Device
from controlplane.storage.attestations import RANKS
from controlplane.storage.database import Database
from controlplane.storage.devices import as_device
from controlplane.storage.tables import devices
from controlplane.storage.tables_attestation import attestations
from controlplane.storage.tables_behaviour import behaviour

_LABEL_PART = re.compile(r"[a-z0-9_:.-]+", re.IGNORECASE)

# A record of nothing is none, as `behaviour.kept` has it.
_IS_OBSERVED = behaviour.c.conforming + behaviour.c.deviating > 0.0
_STANDING = (behaviour.c.since, behaviour.c.e_value, behaviour.c.observed_at)
_STATE = case((_IS_OBSERVED, behaviour.c.state), else_=literal("watched", String))


class Place(NamedTuple):
    """Where a page begins: right after the device of this trust and id."""

    trust: float
    id: str


@dataclass(frozen=True, slots=True)
class Member:
    """A device, and where it stands.

    Attributes:
        state: where its behaviour has it stand.
        since: for how long, as Unix seconds; none for one that was never observed.
        e_value: the evidence against it; 1 where there is none either way.
        observed_at: when it was last observed, Unix seconds.
        attested: the kind of evidence that the strongest proof is of which counts; none where none counts.
    """

    device: Device
    state: BehaviourState
    since: float | None
    e_value: float
    observed_at: float | None
    attested: str | None = None

    @property
    def is_held(self) -> bool:
        """Whether a person set it apart, so that only a person lets it back."""
        return self.device.status == "quarantined" and self.state != "quarantined"

    @property
    def stands(self) -> Stands:
        """Where it stands, in a word."""
        if self.device.status == "active":
            return self.state
        return "held" if self.is_held else self.device.status

    @property
    def place(self) -> Place:
        """Where the page after it begins."""
        return Place(self.device.trust.score, self.device.id)

    def listed(self) -> ListedDevice:
        """Return it as it is listed."""
        return ListedDevice(
            **self.device.model_dump(include={"id", "roles", "segment", "status", "enrolled_at"}),
            trust=self.device.trust,
            attestation=self.device.attestation,
            held=self.is_held,
            state=self.state,
            since=self.since,
            e_value=self.e_value,
            observed_at=self.observed_at,
            attested=self.attested,
        )


class Fleet:
    """The tables of devices and behaviour, looked at together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, query: DeviceQuery, now: float, after: Place | None = None, limit: int = 100, order: DeviceOrder = "id"
    ) -> list[Member]:
        """Return up to ``limit`` wanted devices (at most 1001, so that one sees whether more follow).

        Args:
            query: which ones.
            now: Unix seconds; what has expired by then does not count as proven.
            after: the device that they come after; none for the first.
            limit: how many.
            order: by id, or by trust, least first.
        """
        rank = (devices.c.trust_score, devices.c.id) if order == "trust" else (devices.c.id,)
        wanted = _wanted(select(devices.c.id), query)
        if after is not None:
            wanted = wanted.where(tuple_(*rank) > after if order == "trust" else devices.c.id > after.id)
        # Only ids are put in order, and what else is known is read of those alone that are told.
        named = wanted.order_by(*rank).limit(min(max(limit, 1), MAX_DEVICES + 1))
        told = select(devices, *_STANDING, _STATE.label("stands")).where(devices.c.id.in_(named))
        what = "list devices"
        rows = await self._database.read(what, _joined(told).order_by(*rank))
        proven = await self._attested([row.id for row in rows if row.attestation_verified_at is not None], now)
        with self._database.understanding(what):
            return [_member(row, proven.get(row.id)) for row in rows]

    async def count(self, query: DeviceQuery) -> int:
        """Return how many devices are wanted, of a million at most."""
        many = select(func.count()).select_from(_wanted(select(literal(1)), query).limit(MAX_TOTAL).subquery())
        return int((await self._database.read("count devices", many))[0][0])

    async def _attested(self, names: Sequence[str], now: float) -> dict[str, str]:
        """Return the kind of the strongest proof of each device that counts at ``now``."""
        if not names:
            return {}
        proven = attestations.c
        query = select(proven.device, proven.kind, proven.level, proven.verified_at).where(
            proven.device.in_(names) & (proven.expires_at > now) & (proven.level != "none")
        )
        rows = await self._database.read("look up attestations", query)
        with self._database.understanding("look up attestations"):
            ordered = sorted(rows, key=lambda row: (RANKS[row.level], row.verified_at))
            return {row.device: row.kind for row in ordered}


def _wanted(query: Select[Any], asked: DeviceQuery) -> Select[Any]:
    known = query.select_from(devices) if asked.state in (None, "revoked") else _joined(query)
    return known.where(_is_wanted(asked))


def _joined(query: Select[Any]) -> Select[Any]:
    return query.select_from(devices.outerjoin(behaviour, behaviour.c.subject == devices.c.id))


def _is_wanted(query: DeviceQuery) -> ColumnElement[bool]:
    return and_(
        true() if query.status is None else devices.c.status == query.status,
        true() if query.state is None else _stands(query.state),
        true() if query.segment is None else devices.c.segment == query.segment,
        true() if query.below is None else devices.c.trust_score < query.below,
        true() if query.since is None else devices.c.enrolled_at >= query.since,
        true() if query.text is None else _bears(query.text),
    )


def _stands(state: Stands) -> ColumnElement[bool]:
    if state == "revoked":
        return devices.c.status == "revoked"
    if state in ("held", "quarantined"):
        is_by_policy = _STATE == "quarantined"
        return (devices.c.status == "quarantined") & (is_by_policy if state == "quarantined" else ~is_by_policy)
    return (devices.c.status == "active") & _STATE.in_([state])


def _bears(text: str) -> ColumnElement[bool]:
    names: Collection[Any] = (devices.c.id, devices.c.segment)
    if _LABEL_PART.fullmatch(text):
        # Between the names of roles stands what is no part of any.
        names = (*names, devices.c.roles)
    return or_(*(name.icontains(text, autoescape=True) for name in names))


def _member(row: Row[Any], attested: str | None) -> Member:
    return Member(
        device=as_device(row),
        state=row.stands,
        since=row.since or None,
        e_value=1.0 if row.e_value is None else row.e_value,
        observed_at=row.observed_at or None,
        attested=attested,
    )
