"""What behaviour writes about devices."""

import time
from collections.abc import Collection, Mapping

from sqlalchemy import Double, Integer, bindparam, case, func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Trust
from controlplane.storage.database import Database
from controlplane.storage.revocations import write_notice
from controlplane.storage.tables import devices

_APPLY = (
    update(devices)
    .where(devices.c.id == bindparam("device"))
    .values(
        trust_score=func.coalesce(bindparam("score", type_=Double), devices.c.trust_score),
        trust_observations=func.coalesce(bindparam("seen", type_=Integer), devices.c.trust_observations),
        status=case(
            ((bindparam("apart", type_=Integer) == 1) & (devices.c.status == "active"), "quarantined"),
            else_=devices.c.status,
        ),
    )
)


class Behaviour:
    """Trust and quarantine in the table of devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(
        self, trust: Mapping[str, Trust], quarantined: Collection[str], notice: Notice | None = None
    ) -> None:
        """Keep new trust, set subjects apart and write ``notice``, all in one transaction.

        A revoked device stays revoked.
        """
        apart = set(quarantined)
        # One pass in one order for everybody: two replicas that write the same devices cannot wait for one
        # another in a ring.
        rows = [_row(name, trust.get(name), name in apart) for name in sorted(trust.keys() | apart)]
        if not rows:
            return
        begun = time.monotonic()

        async def _apply(connection: AsyncConnection) -> None:
            await connection.execute(_APPLY, rows)
            await write_notice(connection, notice or Notice(), begun)

        await self._database.write("keep what behaviour found", _apply)


def _row(name: str, trust: Trust | None, is_apart: bool) -> dict[str, object]:
    return {
        "device": name,
        "score": trust.score if trust else None,
        "seen": trust.observations if trust else None,
        "apart": int(is_apart),
    }
