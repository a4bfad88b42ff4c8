"""Where devices are on the network, and what their capabilities open there."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.attachments import MAX_ATTACHMENTS
from controlplane.contracts.base import is_identifier
from controlplane.contracts.segmentation import MAX_GRANTS, Attachment, Cut, Grant
from controlplane.storage.database import Database
from controlplane.storage.tables import devices
from controlplane.storage.tables_capabilities import revocations
from controlplane.storage.tables_capabilities import security_events as events
from controlplane.storage.tables_segments import segment_attachments as attachments
from controlplane.storage.tables_segments import segment_changes as changes
from controlplane.storage.tables_segments import segment_grants as grants

MAX_ALIKE = 8
"""Grants of one device for one service: who asks for a capability again and again fills nobody's table."""

AHEAD_SECONDS = 60.0
"""By which other replicas' clocks may be ahead. What says that it was issued later was so by a clock that has been set
back since: enforcement points take its capability for one of the future, and it would end too late."""

Recorded = Literal["kept", "unknown", "taken", "full"]
"""What became of an attachment: kept, of no device that there is, of an address or key of another, or one too many."""


class Mark(NamedTuple):
    """Stands for what a table is made of; another one says that it may be another.

    Attributes:
        standing: becomes another with attachments, and with whatever makes grants void or sets devices apart.
        grants: becomes another with grants.
    """

    standing: tuple[object, ...]
    grants: tuple[object, ...]


_KNOWN = tuple(attachments.c[name] for name in Attachment.model_fields)
_GRANT = tuple(grants.c[name] for name in Grant.model_fields)

_WHERE_IT_WAS = and_(
    attachments.c.device == grants.c.device,
    attachments.c.address == grants.c.source,
    attachments.c.site == grants.c.site,
    attachments.c.device_class == grants.c.device_class,
    # No index serves these: SQLite would look at every device without a tunnel for each grant without one.
    *(func.coalesce(attachments.c[name], "") == func.coalesce(grants.c[name], "") for name in ("line", "wireguard")),
)
_WHO_IT_WAS = and_(devices.c.id == grants.c.device, devices.c.segment == grants.c.segment, devices.c.status == "active")
_VOID = exists().where(
    or_(
        and_(revocations.c.kind == "capability", revocations.c.value == grants.c.id),
        and_(revocations.c.kind == "key", revocations.c.value == grants.c.kid),
        and_(
            revocations.c.kind == "subject",
            revocations.c.value == grants.c.device,
            revocations.c.revoked_at >= grants.c.issued_at,
        ),
    )
)


@dataclass(frozen=True)
class Made:
    """A grant as it is made, with what it stands and falls with.

    Attributes:
        grant: it.
        line: on which the device is; none where its site has none.
        kid: of the key that signed the capability.
        issued_at: when, by the capability (Unix seconds).
    """

    grant: Grant
    line: str | None
    kid: str
    issued_at: float


class Segments:
    """The tables of attachments and grants."""

    def __init__(self, database: Database, most: int = MAX_ATTACHMENTS, most_grants: int = MAX_GRANTS) -> None:
        self._database = database
        self._most = most
        self._most_grants = most_grants

    async def attach(self, attachment: Attachment, by: str) -> Recorded:
        """Keep where a device is, in place of where it was; grants of another place are void from then on."""
        known = select(devices.c.id).where(devices.c.id == attachment.device)
        counted = select(func.count()).select_from(attachments).where(attachments.c.device != attachment.device)
        values = {**attachment.model_dump(), "recorded_by": by}

        async def _attach(connection: AsyncConnection) -> Recorded:
            # First, since it makes all who change attachments come one after another.
            await _changed(connection)
            if (await connection.execute(known)).first() is None:
                return "unknown"
            if (await connection.execute(counted)).scalar_one() >= self._most:
                return "full"
            taken = select(attachments.c.device).where(attachments.c.device != attachment.device, _clashes(attachment))
            if (await connection.execute(taken)).first() is not None:
                return "taken"
            await connection.execute(delete(attachments).where(attachments.c.device == attachment.device))
            await connection.execute(insert(attachments).values(values))
            return "kept"

        return await self._database.write("keep an attachment", _attach)

    async def detach(self, device: str) -> bool:
        """Forget where a device is: no router lets it through any more; false when that was not known."""

        async def _detach(connection: AsyncConnection) -> bool:
            await _changed(connection)
            await connection.execute(delete(grants).where(grants.c.device == device))
            found = await connection.execute(delete(attachments).where(attachments.c.device == device))
            return found.rowcount == 1

        return is_identifier(device) and await self._database.write("forget an attachment", _detach)

    async def get(self, device: str) -> Attachment | None:
        """Return where a device is, or none."""
        if not is_identifier(device):
            return None
        query = select(*_KNOWN).where(attachments.c.device == device)
        with self._database.understanding("look up an attachment"):
            rows = await self._database.read("look up an attachment", query)
            return _attachment(rows[0]) if rows else None

    async def attached(self, after: str = "", limit: int = 1000) -> list[Attachment]:
        """Return up to ``limit`` attachments, in order of device."""
        query = select(*_KNOWN).where(attachments.c.device > after).order_by(attachments.c.device).limit(limit)
        with self._database.understanding("list attachments"):
            return [_attachment(row) for row in await self._database.read("list attachments", query)]

    async def changes(self) -> int:
        """Return how often attachments were changed."""
        rows = await self._database.read("look for other attachments", select(changes.c.times))
        return int(rows[0].times) if rows else 0

    async def grant(self, made: Made, now: float) -> bool:
        """Keep a grant that is made at ``now`` (Unix seconds); false when there are too many.

        Of more than a few for the same device and service, those that end first are forgotten.
        """
        of = grants.c
        alike = (of.device == made.grant.device) & (of.service == made.grant.service)
        newest = select(of.id).where(alike).order_by(of.expires_at.desc(), of.id).limit(MAX_ALIKE).scalar_subquery()
        counted = select(func.count()).select_from(grants).where(of.expires_at > now)
        more = {"line": made.line, "kid": made.kid, "issued_at": made.issued_at, "made_at": now}

        async def _grant(connection: AsyncConnection) -> bool:
            if (await connection.execute(counted)).scalar_one() >= self._most_grants:
                return False
            await connection.execute(insert(grants).values(**made.grant.model_dump(), **more))
            await connection.execute(delete(grants).where(alike, of.id.not_in(newest)))
            return True

        return await self._database.write("keep a grant", _grant)

    async def mark(self) -> Mark:
        """Return what becomes another when an attachment, a grant or a device's status does."""
        query = select(
            select(changes.c.times).where(changes.c.name == "attachments").scalar_subquery(),
            select(func.max(events.c.sequence)).scalar_subquery(),
            select(func.count()).select_from(grants).scalar_subquery(),
            select(func.sum(grants.c.made_at)).scalar_subquery(),
        )
        times, newest, count, total = tuple((await self._database.read("look for other grants", query))[0])
        return Mark((times, newest), (count, total))

    async def granted(self, now: float, since: float = 0.0) -> list[Grant]:
        """Return the grants that last at ``now`` and were made at ``since`` or later (Unix seconds), in order of id.

        None of a device that is not active, that is where it was not when the grant was made, or whose capability is
        void or of the future: what made it void says so here already, whichever replica wrote it.
        """
        query = (
            select(*_GRANT)
            .join(attachments, _WHERE_IT_WAS)
            .join(devices, _WHO_IT_WAS)
            .where(grants.c.expires_at > now, grants.c.made_at >= since, ~_VOID)
            .where(grants.c.issued_at <= now + AHEAD_SECONDS)
            .order_by(grants.c.id)
            .limit(self._most_grants)
        )
        with self._database.understanding("read grants"):
            rows = await self._database.read("read grants", query)
            # Validated before they were kept; of ten thousand, doing so again takes as long as all the rest.
            return [Grant.of_trusted(**dict(zip(Grant.model_fields, row, strict=True))) for row in rows]

    async def cuts(self) -> list[Cut]:
        """Return the devices that are attached and set apart or revoked, in order of device."""
        query = (
            select(attachments.c.device, attachments.c.address, devices.c.status)
            .join(devices, devices.c.id == attachments.c.device, isouter=True)
            .where(devices.c.status.is_distinct_from("active"))
            .order_by(attachments.c.device)
        )
        with self._database.understanding("read cuts"):
            rows = await self._database.read("read cuts", query)
            return [Cut(device=row.device, address=row.address, reason=row.status or "unknown") for row in rows]

    async def purge(self, before: float) -> int:
        """Forget the grants that ended before ``before`` (Unix seconds); return how many."""
        return await self._database.change("forget old grants", delete(grants).where(grants.c.expires_at < before))


async def _changed(connection: AsyncConnection) -> None:
    await connection.execute(update(changes).where(changes.c.name == "attachments").values(times=changes.c.times + 1))


def _clashes(attachment: Attachment) -> Any:
    same = attachments.c.address == attachment.address
    return same if attachment.wireguard is None else same | (attachments.c.wireguard == attachment.wireguard)


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(**row._mapping)
