"""What behaviour writes about devices."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import bindparam, update

from controlplane.contracts.identity import Trust
from controlplane.storage.database import Database
from controlplane.storage.tables import devices


class Behaviour:
    """Trust and quarantine in the table of devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, trust: Mapping[str, Trust], quarantined: Collection[str]) -> None:
        """Keep new trust and set subjects apart, all in one transaction; a revoked device stays revoked."""
        # One order for everybody: two replicas that write the same devices cannot wait for one another in a ring.
        scores = [
            {"device": name, "score": trust[name].score, "seen": trust[name].observations} for name in sorted(trust)
        ]
        named = [{"device": name} for name in sorted(quarantined)]
        if not scores and not named:
            return
        by_id = devices.c.id == bindparam("device")
        async with self._database.writing("keep what behaviour found") as connection:
            if scores:
                values: dict[str, Any] = {"trust_score": bindparam("score"), "trust_observations": bindparam("seen")}
                await connection.execute(update(devices).where(by_id).values(values), scores)
            if named:
                is_active = devices.c.status == "active"
                await connection.execute(update(devices).where(by_id, is_active).values(status="quarantined"), named)
