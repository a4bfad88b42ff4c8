"""Used capabilities, so that a one-time one holds once across all replicas."""

from collections.abc import Collection, Mapping

from sqlalchemy import delete

from controlplane.contracts.capability import MAX_LIFETIME_SECONDS
from controlplane.storage.counting import Counts
from controlplane.storage.database import Database
from controlplane.storage.steady import Steady
from controlplane.storage.tables_capabilities import capability_uses

_CLOCKS_SECONDS = 60
"""How far the clocks of replicas, and a verifier's leeway, may reach into the future."""


class Capabilities:
    """The table of used capabilities."""

    def __init__(self, database: Database, counts: Counts) -> None:
        self._database = database
        self._counts = counts
        self._steady = Steady()

    async def consume(self, jtis: Mapping[str, float]) -> dict[str, int]:
        """Count one use of each capability, by id with its expiry (Unix seconds), and return the uses before.

        Uses that must have expired are forgotten on the way: a capability that holds now expires within 300 s,
        so whatever expired 300 s, and some for the clocks, before the earliest of these is past; what was dated by
        a clock that jumped ahead says less. They are forgotten first: after the count nothing may fail, or trying
        again would find the capabilities used.
        """
        if jtis:
            await self.purge(self._steady.follow(min(jtis.values()) - MAX_LIFETIME_SECONDS - _CLOCKS_SECONDS))
        return await self._counts.capabilities(jtis)

    async def give_back(self, jtis: Collection[str]) -> None:
        """Count one use less of each capability that was used.

        Raises:
            StoreUnavailable: the store failed; nothing was changed.
        """
        await self._counts.fewer_capabilities(jtis)

    async def purge(self, now: float) -> int:
        """Forget the uses of capabilities that expired at ``now`` (Unix seconds); return how many."""
        is_past = capability_uses.c.expires_at <= now
        return await self._database.change("forget expired capabilities", delete(capability_uses).where(is_past))
