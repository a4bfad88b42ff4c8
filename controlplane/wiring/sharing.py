"""What all replicas count together, where `ZTFM_SHARED_LIMITS` says so, and how it is forgotten in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from controlplane.settings import Settings
from controlplane.sharing.proofs import SharedProofs
from controlplane.sharing.rates import LeasedRate
from controlplane.sharing.windows import SharedUsage
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.limits import Limits
from controlplane.telemetry import Metrics

EVERY_SECONDS = 15.0
"""How often what has had its time is forgotten."""

WINDOW_SECONDS = 60

_log = structlog.get_logger("ztfm.limits")


@dataclass(frozen=True)
class Shared:
    """What all replicas count together.

    Attributes:
        limits: where it is kept.
        metrics: of how the store is asked.
        proofs: that were seen.
        usage: of subjects.
    """

    limits: Limits
    metrics: Metrics
    proofs: SharedProofs
    usage: SharedUsage

    def rate(self, kind: str, rate: float, burst: float) -> LeasedRate:
        """Return what bounds requests of a kind: so many a second, and at once."""
        return LeasedRate(self.limits, kind, time.monotonic, self.metrics.sharing, rate=rate, burst=burst)


def share(settings: Settings, store: Store, metrics: Metrics) -> Shared | None:
    """Return what all replicas count together; none where each machine counts for itself."""
    if settings.shared_limits == "machine":
        return None
    usage = SharedUsage(store.limits, time.monotonic, metrics.sharing, WINDOW_SECONDS)
    return Shared(store.limits, metrics, SharedProofs(store.limits, metrics.sharing), usage)


async def keep_limits(limits: Limits, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Forget, every fifteen seconds and for ever, what replicas counted together and nobody needs any more.

    Args:
        limits: where it is kept.
        sleep: waits between two passes.
    """
    while True:
        try:
            await limits.purge(WINDOW_SECONDS)
        except StoreUnavailable as error:
            _log.warning("limits_not_forgotten", error=type(error).__name__)
        await sleep(EVERY_SECONDS)
