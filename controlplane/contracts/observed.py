"""What observations make of their subjects, as it is kept: many at once, in one transaction."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from controlplane.contracts.behaviour import BehaviourRecord, Channel, Verdict
from controlplane.contracts.events import Notice
from controlplane.contracts.identity import DeviceStatus, Trust

Tell = Callable[[Collection[str]], Notice]
"""Returns the notice of what becomes of subjects, for those of them that are kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a registered subject's behaviour.

    Attributes:
        status: of the device.
        trust: of the device.
        record: none where nothing was observed yet, or nothing since a person let it back.
        e_value: the evidence against it over all channels, when it was last judged; 1 without a record.
        version: counts changes of what is kept, 0 for the first; whoever writes names the one that it read.
    """

    status: DeviceStatus
    trust: Trust
    record: BehaviourRecord | None
    e_value: float
    version: int


@dataclass(frozen=True, slots=True)
class Score:
    """How much one observation deviated.

    Attributes:
        channel: where it showed.
        peers: class of those who are comparable.
        round_id: of the update; empty elsewhere.
        value: 0 for not at all.
        time: Unix seconds.
    """

    channel: Channel
    peers: str
    round_id: str
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class Observed:
    """What is to be kept of one subject from now on.

    Attributes:
        subject: whose.
        version: of what was kept, as it was read; when it is another by now, nothing is written.
        record: instead of what was kept; its own version counts for nothing.
        e_value: over all channels.
        trust: of the device.
        status: that the device is to have; none leaves it, and a revoked one stays revoked.
        score: to compare others with; none where there is none.
        verdict: for whoever asks why; none for an unremarkable observation.
    """

    subject: str
    version: int
    record: BehaviourRecord
    e_value: float
    trust: Trust
    status: Literal["active", "quarantined"] | None = None
    score: Score | None = None
    verdict: Verdict | None = None
