"""What the parts of most capabilities are made of."""

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.announcing import Announcing
from controlplane.api.services import EdgeLimits
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.sealing import Sealer
from controlplane.decisions import Coalescer
from controlplane.observing import Observer
from controlplane.settings import Settings
from controlplane.sharing.counted import Counted, Part
from controlplane.storage import Store
from controlplane.telemetry import Metrics
from controlplane.wiring.sharing import Shared


@dataclass(frozen=True)
class Common:
    """What there is before any capability.

    Attributes:
        settings: how the control plane runs.
        edge: how often callers may ask.
        part: what it has of other workers; none where it is alone.
        clock: Unix seconds.
        store: keeps what outlives a process.
        metrics: count.
        observer: counts and logs.
        engine: asks policy.
        counted: what all workers count together, or it counts alone.
        shared: what all replicas count together; none where each machine counts for itself.
    """

    settings: Settings
    edge: EdgeLimits
    part: Part | None
    clock: Callable[[], float]
    store: Store
    metrics: Metrics
    observer: Observer
    engine: Coalescer
    counted: Counted
    shared: Shared | None = None


@dataclass(frozen=True)
class Signing:
    """What signs and seals, and tells of what is void.

    Attributes:
        sealer: seals what is kept.
        keys: that sign.
        announcing: revokes, and says so.
    """

    sealer: Sealer
    keys: KeyKeeper
    announcing: Announcing
