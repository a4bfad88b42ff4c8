"""What happened to devices lately: read from where each is kept, and brought together in order of time."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, select

from controlplane.contracts.behaviour import Verdict
from controlplane.contracts.devices import MAX_CHANGES, DeviceChange, DeviceChangeKind
from controlplane.contracts.events import EventKind, OpaqueSubject, SecurityEvent
from controlplane.storage.database import Database
from controlplane.storage.tables import devices
from controlplane.storage.tables_attestation import attestations
from controlplane.storage.tables_behaviour import behaviour_verdicts as verdicts
from controlplane.storage.tables_log import log_entries as entries
from controlplane.storage.tables_segments import segment_attachments as attachments

MOST_ENTRIES = 100_000
"""Entries of the log that are gone through, newest first, for events among them."""

MOST_VERDICTS = 2_000


_KINDS: Mapping[EventKind, DeviceChangeKind] = {
    "session-revoked": "revoked",
    "credential-change": "key",
    "device-compliance-change": "status",
}


@dataclass(frozen=True)
class Within:
    """Which changes are wanted.

    Attributes:
        since: of this time (Unix seconds) and later.
        until: before this time.
        device: of this one alone; none for all.
        limit: how many, the newest.
    """

    since: float
    until: float
    device: str | None = None
    limit: int = 100


@dataclass(frozen=True)
class _Found:
    changes: list[DeviceChange]
    since: float


class ChangesOfDevices:
    """The tables that say what happened to devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: Within) -> tuple[list[DeviceChange], float]:
        """Return what is wanted, newest first, and since when (Unix seconds) that is all that there was.

        What has been replaced by something later of its kind, as a proof by the next, is not told any more.
        """
        looks = (self._enrolled, self._attested, self._placed, self._judged, self._events)
        found = await asyncio.gather(*(look(wanted) for look in looks))
        since = max(one.since for one in found)
        every = sorted((one for some in found for one in some.changes if one.at >= since), key=_order, reverse=True)
        limit = min(wanted.limit, MAX_CHANGES)
        if len(every) > limit:
            since = every[limit - 1].at
        return every[:limit], since

    async def _enrolled(self, wanted: Within) -> _Found:
        query = select(devices.c.id, devices.c.enrolled_at.label("at"), devices.c.roles, devices.c.segment)
        return await self._rows(wanted, query, devices.c.enrolled_at, devices.c.id, _enrolled)

    async def _attested(self, wanted: Within) -> _Found:
        query = select(
            attestations.c.device.label("id"),
            attestations.c.verified_at.label("at"),
            attestations.c.kind,
            attestations.c.level,
            attestations.c.decision_id,
        )
        return await self._rows(wanted, query, attestations.c.verified_at, attestations.c.device, _attested)

    async def _placed(self, wanted: Within) -> _Found:
        query = select(
            attachments.c.device.label("id"),
            attachments.c.recorded_at.label("at"),
            attachments.c.site,
            attachments.c.address,
            attachments.c.recorded_by,
        )
        return await self._rows(wanted, query, attachments.c.recorded_at, attachments.c.device, _placed)

    async def _rows(self, wanted: Within, query: Any, time: Any, device: Any, told: Any) -> _Found:
        limit = min(wanted.limit, MAX_CHANGES)
        narrowed = query.where(_within(wanted, time, device)).order_by(time.desc()).limit(limit)
        what = "look what happened to devices"
        rows = await self._database.read(what, narrowed)
        with self._database.understanding(what):
            found = [told(row) for row in rows]
        return _Found(found, found[-1].at if len(found) == limit else wanted.since)

    async def _judged(self, wanted: Within) -> _Found:
        query = select(verdicts.c.document).where(_within(wanted, verdicts.c.time, verdicts.c.subject))
        what = "look how devices were judged"
        rows = await self._database.read(what, query.order_by(verdicts.c.time.desc()).limit(MOST_VERDICTS))
        with self._database.understanding(what):
            found = [Verdict.model_validate_json(row.document) for row in rows]
        since = found[-1].time if len(found) == MOST_VERDICTS else wanted.since
        return _Found([_moved(one) for one in found if one.state != one.was], since)

    async def _events(self, wanted: Within) -> _Found:
        what, limit = "look for events of devices", MAX_CHANGES
        newest = select(entries.c.place).order_by(entries.c.place.desc()).limit(1)
        last = await self._database.read(what, newest)
        if not last:
            return _Found([], wanted.since)
        first = last[0].place - MOST_ENTRIES
        edge = await self._database.read(what, select(entries.c.time_ms).where(entries.c.place == first))
        since = max(wanted.since, edge[0].time_ms / 1000.0) if edge else wanted.since
        is_event = (entries.c.kind == "event") & (entries.c.place > first) & entries.c.document.is_not(None)
        is_within = (entries.c.time_ms >= int(since * 1000)) & (entries.c.time_ms < int(wanted.until * 1000))
        query = select(entries.c.document).where(is_event & is_within).order_by(entries.c.place.desc()).limit(limit)
        rows = await self._database.read(what, query)
        with self._database.understanding(what):
            found = [one for row in rows for one in _told(SecurityEvent.model_validate_json(row.document))]
        since = found[-1].at if len(rows) == limit and found else since
        return _Found([one for one in found if wanted.device in (None, one.device)], since)


def _within(wanted: Within, time: Any, device: Any) -> ColumnElement[bool]:
    is_within: ColumnElement[bool] = (time >= wanted.since) & (time < wanted.until)
    return is_within if wanted.device is None else is_within & (device == wanted.device)


def _order(one: DeviceChange) -> tuple[float, str, str]:
    return one.at, one.device, one.kind


def _enrolled(row: Row[Any]) -> DeviceChange:
    return DeviceChange(at=row.at, kind="enrolled", device=row.id, what=f"It enrolled in {row.segment}.")


def _attested(row: Row[Any]) -> DeviceChange:
    proven = f"{row.kind} evidence proved the level {row.level}."
    what = f"Its {proven}" if row.level != "none" else f"Its {row.kind} evidence contradicts the reference values."
    return DeviceChange(at=row.at, kind="attested", device=row.id, what=what, by=row.id, decision_id=row.decision_id)


def _placed(row: Row[Any]) -> DeviceChange:
    what = f"It is at {row.address}, site {row.site}."
    return DeviceChange(at=row.at, kind="placed", device=row.id, what=what, by=row.recorded_by)


def _moved(one: Verdict) -> DeviceChange:
    why = one.attribution.sentence if one.attribution else ""
    what = f"From {one.was} to {one.state}. {why}".strip()[:512]
    device, decision = one.subject, one.decision_id
    return DeviceChange(at=one.time, kind="judged", device=device, what=what, by="policy", decision_id=decision)


def _told(event: SecurityEvent) -> Iterator[DeviceChange]:
    happened = event.events.caep
    changed = event.events.credential_change
    if happened is None or not isinstance(event.sub_id, OpaqueSubject):
        return
    if changed is not None and changed.credential_type == "signing-key":
        return
    kind = _KINDS[event.events.kind or "session-revoked"]
    what = next(iter((happened.reason_admin or {}).values()), kind)
    yield DeviceChange(
        at=happened.event_timestamp,
        kind=kind,
        device=event.sub_id.id,
        what=what,
        by=happened.initiating_entity,
        decision_id=event.txn if event.txn.startswith("dec-") else None,
    )
