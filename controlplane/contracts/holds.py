"""Holds: an action of the product that is denied in a segment, or everywhere, for a time; why, and until when."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.access import ACTIONS, ActionName
from controlplane.contracts.base import Count, Identifier, Label, Name, StrictModel, Timestamp, Why

HeldAction = ActionName
"""What can be held: the product's own actions. The control plane's own API and enrolment cannot."""

EVERYWHERE = "*"
"""Stands for every segment."""

HOLD_PREFIX = "hold"

MAX_HOLDS = 64
"""Holds that last at the same time; while there are so many, no more are begun."""

MAX_HOLD_SECONDS = 3_600
"""No policy holds for longer; for how long each alert may, `policies/data/alerts` says."""

HeldSegment = Label | Literal["*"]

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""Alertmanager's name of an alert: a hash of its labels."""

HeldActions = Annotated[list[HeldAction], Field(min_length=1, max_length=len(ACTIONS))]

HoldState = Literal["current", "expired", "released"]
"""``current`` counts now, ``expired`` has ended by itself, ``released`` was ended before."""


class HoldFact(StrictModel):
    """A hold as policy sees it, which looks at all of it again.

    Attributes:
        segment: where; ``*`` for everywhere.
        actions: that are held there.
        alert: name of the alert that asked for it.
        fingerprint: of that alert.
        starts_at: since when; Unix seconds, as is ``ends_at``.
        ends_at: from when it counts no more.
    """

    segment: HeldSegment
    actions: HeldActions
    alert: Name
    fingerprint: Fingerprint
    starts_at: Timestamp
    ends_at: Timestamp


class HoldsFact(StrictModel):
    """What is held, as far as that is known.

    Attributes:
        known: false where the store could not be read for a while: there may be holds that are not here.
        current: by id; of a request's own segment and action, or of all where an alert is decided on.
    """

    known: bool
    current: Annotated[dict[Identifier, HoldFact], Field(max_length=MAX_HOLDS)]


class HoldObligation(StrictModel):
    """A hold that policy asks for.

    Attributes:
        segment: where; ``*`` for everywhere.
        actions: that are held there.
        seconds: for how long, from the first time that it is asked for.
    """

    segment: HeldSegment
    actions: HeldActions
    seconds: Annotated[float, Field(gt=0.0, le=MAX_HOLD_SECONDS)]

    @model_validator(mode="after")
    def _names_each_action_once(self) -> Self:
        if len(set(self.actions)) != len(self.actions):
            raise ValueError("an action is named twice")
        return self


class Hold(StrictModel):
    """A hold as it is kept.

    Attributes:
        id: follows from the alert and when it began to fire: the same alert asks for the same hold.
        alert: its name.
        fingerprint: Alertmanager's name of it.
        alert_started_at: since when it fires; Unix seconds, as are all other times.
        decision_id: of the decision that asked for the hold.
        released_at: when it was ended before its time.
        released_by: who did, ``alert`` where the alert was resolved, or ``local:<user>`` on the machine of the store.
        release_reason: why.
    """

    id: Identifier
    segment: HeldSegment
    actions: HeldActions
    alert: Name
    fingerprint: Fingerprint
    alert_started_at: Timestamp
    starts_at: Timestamp
    ends_at: Timestamp
    decision_id: Identifier
    released_at: Timestamp | None = None
    released_by: Name | None = None
    release_reason: Why | None = None
    state: HoldState

    def fact(self) -> HoldFact:
        """Return what policy is told of it."""
        return HoldFact(**self.model_dump(include=set(HoldFact.model_fields)))


class HoldsFound(StrictModel):
    """Holds, the latest first.

    Attributes:
        known: false while a decision here takes everything to be held, since the store could not be read.
        most: so many can last at the same time.
    """

    holds: list[Hold]
    known: bool
    most: Count


def hold_state(ends_at: float, released_at: float | None, now: float) -> HoldState:
    """Return how a hold stands at ``now``; all in Unix seconds."""
    if released_at is not None:
        return "released"
    return "expired" if now >= ends_at else "current"
