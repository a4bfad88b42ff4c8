"""How subjects stand, for whoever asks why."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.base import Identifier, Label, Magnitude, StrictModel, Timestamp
from controlplane.contracts.behaviour import BehaviourState, Channel, EValue, Verdict
from controlplane.contracts.identity import DeviceStatus, Trust

MAX_VERDICTS = 50
MAX_STANDINGS = 200

StandingOrder = Literal["evidence", "trust"]
"""Subjects by the evidence against them, most first; or by trust, least first."""


class BehaviourStanding(StrictModel):
    """How one subject stands.

    Attributes:
        subject: who.
        segment: where it lives.
        status: of the device.
        held: a person set it apart, so that only a person lets it back.
        state: where its behaviour has it stand.
        since: for how long, as Unix seconds; none for one that was never observed.
        e_value: the evidence against it over all channels; 1 where there is none either way.
        trust: lower confidence bound of the share of its observations that were as its peers' are.
        observed_at: when it was last observed, Unix seconds; none for never, or not since a person let it back.
    """

    subject: Identifier
    segment: Label
    status: DeviceStatus
    held: bool
    state: BehaviourState
    since: Timestamp | None = None
    e_value: EValue
    trust: Trust
    observed_at: Timestamp | None = None


class DeviceBehaviour(BehaviourStanding):
    """How one subject stands, and why.

    Attributes:
        e_values: the evidence by channel in which something was seen.
        conforming: discounted number of observations that were as its peers' are.
        deviating: discounted number of those that were not.
        verdicts: the latest remarkable ones, newest first.
    """

    e_values: Annotated[dict[Channel, EValue], Field(max_length=8)]
    conforming: Magnitude
    deviating: Magnitude
    verdicts: Annotated[list[Verdict], Field(max_length=MAX_VERDICTS)]


class BehaviourFound(StrictModel):
    """Subjects, by the evidence against them, most first, unless they were asked for by trust."""

    subjects: Annotated[list[BehaviourStanding], Field(max_length=MAX_STANDINGS)]
