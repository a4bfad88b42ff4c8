"""What is kept of how subjects ask, as documents that the store does not look into; each replaces the one before."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.behaviour import Channel
from controlplane.storage.database import Database
from controlplane.storage.tables_behaviour import behaviour_profiles as profiles

MAX_BYTES = 16_384
"""Of a document."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """A document, and how often it was replaced.

    Attributes:
        document: JSON.
        version: 1 for the first; whoever replaces it names the one that it read.
    """

    document: bytes
    version: int


class Profiles:
    """The table of profiles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, channel: Channel, subjects: Collection[str]) -> dict[str, KeptProfile]:
        """Return what is kept of subjects in a channel, by name; of whom nothing is, is absent."""
        found: dict[str, KeptProfile] = {}
        names = sorted(subjects)
        for start in range(0, len(names), _AT_ONCE):
            query = select(profiles.c.subject, profiles.c.document, profiles.c.version).where(
                (profiles.c.channel == channel) & profiles.c.subject.in_(names[start : start + _AT_ONCE])
            )
            rows = await self._database.read("look up profiles", query)
            found |= {row.subject: KeptProfile(row.document, row.version) for row in rows}
        return found

    async def put(self, channel: Channel, replaced: Mapping[str, KeptProfile], now: float) -> frozenset[str]:
        """Replace profiles, each whose version is still the one that was read.

        Args:
            channel: which.
            replaced: by subject, the new document with the version that was read, 0 for none; every subject is
                registered.
            now: Unix seconds.

        Returns:
            The subjects whose profile somebody else replaced meanwhile; of these nothing was written.

        Raises:
            ValueError: a document is too large; nothing was written.
        """
        if any(len(one.document) > MAX_BYTES for one in replaced.values()):
            raise ValueError(f"a profile has at most {MAX_BYTES} bytes")
        stale: set[str] = set()
        # One order for everybody: two replicas that write the same rows cannot wait for one another in a ring.
        names = sorted(replaced)
        for start in range(0, len(names), _AT_ONCE):
            part = {name: replaced[name] for name in names[start : start + _AT_ONCE]}
            stale |= await self._database.write("keep profiles", partial(_put, channel=channel, replaced=part, now=now))
        return frozenset(stale)


async def _put(
    connection: AsyncConnection, channel: Channel, replaced: Mapping[str, KeptProfile], now: float
) -> set[str]:
    wanted = (profiles.c.channel == channel) & profiles.c.subject.in_(replaced)
    kept = select(profiles.c.subject, profiles.c.version).where(wanted).order_by(profiles.c.subject)
    versions = {row.subject: row.version for row in await connection.execute(kept.with_for_update())}
    stale = {name for name, one in replaced.items() if versions.get(name, 0) != one.version}
    rows = [
        {
            "subject": name,
            "channel": channel,
            "document": one.document,
            "updated_at": now,
            "version": one.version + 1,
        }
        for name, one in replaced.items()
        if name not in stale
    ]
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(profiles)
        changed = {name: statement.excluded[name] for name in ("document", "updated_at", "version")}
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["subject", "channel"], set_=changed), rows
        )
    return stale
