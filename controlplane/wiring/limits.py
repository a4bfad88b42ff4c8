"""How often somebody may ask, how much was used lately, and what is answered again."""

import time

from controlplane.api.idempotency import KEYS_A_SECOND, KEYS_AT_ONCE, Repeats
from controlplane.api.rates import MachineRate, Rate, RateLimit
from controlplane.api.services.limits import LimitParts
from controlplane.capabilities.sealing import Sealer
from controlplane.decisions.cells import Cells
from controlplane.decisions.usage import MachineUsage, UsageSource, UsageWindow
from controlplane.wiring.common import Common


def wire_limits(common: Common) -> LimitParts:
    """Return what counts requests: for all replicas where they share limits, else for all workers or this process."""
    edge, counted = common.edge, common.counted
    return LimitParts(
        callers=_rate(common, "callers", edge.rate, edge.burst, counted.callers),
        strangers=_rate(common, "strangers", edge.stranger_rate, edge.stranger_burst, counted.strangers),
        rotations=_rate(common, "rotations", edge.rotation_rate, edge.rotation_burst),
        challenges=_rate(common, "challenges", edge.challenge_rate, edge.challenge_burst),
        released=_rate(common, "released", edge.release_rate, edge.release_burst),
    )


def wire_usage(common: Common) -> UsageSource:
    """Return what counts the use of subjects."""
    if common.shared is not None:
        return common.shared.usage
    return MachineUsage(UsageWindow(common.clock, cells=common.counted.usage))


def wire_repeats(common: Common, sealer: Sealer) -> Repeats:
    """Return what answers a request again that is made again."""
    return Repeats(
        common.store.idempotency,
        sealer,
        common.clock,
        lambda outcome: common.metrics.edge.repeats.labels(outcome).inc(),
        rate=_rate(common, "repeated", KEYS_A_SECOND, KEYS_AT_ONCE, common.counted.repeated),
    )


def _rate(common: Common, kind: str, rate: float, burst: float, cells: Cells | None = None) -> Rate:
    if common.shared is not None:
        return common.shared.rate(kind, rate, burst)
    return MachineRate(RateLimit(time.monotonic, rate=rate, burst=burst, cells=cells))
