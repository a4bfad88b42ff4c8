"""Exceptions that are granted for a time: what is waived, for whom, why, by whom, until when."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.base import Count, Identifier, Label, Name, StrictModel, Timestamp, Why
from controlplane.contracts.decision import MAX_PAGE_TOKEN

MAX_WAIVED = 16
"""Requirements that one exception waives; as many as a decision can say were waived."""

ExceptionState = Literal["scheduled", "current", "expired", "revoked"]
"""``scheduled`` begins later, ``current`` counts now, ``expired`` has ended, ``revoked`` was ended by somebody."""

EXCEPTION_PREFIX = "exc"
"""What the ids of granted exceptions begin with; those in a bundle have names of their own."""

MAX_EXCEPTION_DAYS = 366
"""No policy lets an exception last longer; how long one may, `exception_days_maximum` in `data/limits` says."""

MAX_ALIKE = 16
"""Exceptions for one subject, resource and action that have not ended."""

DAY_SECONDS = 86_400.0

ExceptedResource = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]

ExceptedAction = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ExceptionFact(StrictModel):
    """A granted exception as policy sees it, which looks at all of it again.

    Attributes:
        waives: requirements that need not be met; only what is true counts.
        approver: who granted it.
        starts_at: from when it counts; Unix seconds, as is ``ends_at``.
        ends_at: from when it counts no more.
    """

    subject: Name
    resource: ExceptedResource
    action: ExceptedAction
    waives: Annotated[dict[Label, bool], Field(min_length=1, max_length=MAX_WAIVED)]
    reason: Why
    approver: Name
    starts_at: Timestamp
    ends_at: Timestamp


class ExceptionRequest(StrictModel):
    """An exception that is asked for.

    Attributes:
        subject: whom it is for; nobody grants one to itself.
        resource: what it is for: the model, or what else is decided about.
        waives: requirements that need not be met, each named once. Policy says which can be waived: `waivable` of its
            limits.
        reason: why; it is recorded with every decision that needs the exception.
        starts_at: from when it counts, Unix seconds; none for now.
        ends_at: from when it counts no more, Unix seconds.
    """

    subject: Identifier
    resource: ExceptedResource
    action: ExceptedAction
    waives: Annotated[list[Label], Field(min_length=1, max_length=MAX_WAIVED)]
    reason: Why
    starts_at: Timestamp | None = None
    ends_at: Timestamp

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if len(set(self.waives)) != len(self.waives):
            raise ValueError("a requirement is named twice")
        if self.starts_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("it ends before it starts")
        return self


class GrantedException(StrictModel):
    """An exception as it is kept.

    Attributes:
        approver: who granted it: an administrator, or ``local:<user>`` for who did on the machine of the store.
        granted_at: Unix seconds, as are all other times.
        uses: decisions that would have been denied without it.
        last_used_at: when the last of them was made.
    """

    id: Identifier
    subject: Identifier
    resource: ExceptedResource
    action: ExceptedAction
    waives: Annotated[list[Label], Field(min_length=1, max_length=MAX_WAIVED)]
    reason: Why
    approver: Name
    granted_at: Timestamp
    starts_at: Timestamp
    ends_at: Timestamp
    revoked_at: Timestamp | None = None
    revoked_by: Name | None = None
    uses: Count
    last_used_at: Timestamp | None = None
    state: ExceptionState


class ExceptionQuery(StrictModel):
    """Which exceptions are looked for."""

    subject: Identifier | None = None
    state: ExceptionState | Literal["all"] = "current"


class ExceptionsFound(StrictModel):
    """A page of granted exceptions, newest first.

    Attributes:
        next_token: opaque; empty at the end.
    """

    exceptions: list[GrantedException]
    next_token: Annotated[str, StringConstraints(max_length=MAX_PAGE_TOKEN)]


def state_at(starts_at: float, ends_at: float, revoked_at: float | None, now: float) -> ExceptionState:
    """Return how an exception stands at ``now``; all in Unix seconds."""
    if revoked_at is not None:
        return "revoked"
    if now >= ends_at:
        return "expired"
    return "current" if now >= starts_at else "scheduled"


def granted(asked: ExceptionRequest, exception_id: str, approver: str, now: float) -> GrantedException:
    """Return the exception that is asked for as ``approver`` grants it at ``now`` (Unix seconds)."""
    starts_at = now if asked.starts_at is None else asked.starts_at
    return GrantedException(
        **asked.model_dump(exclude={"starts_at"}),
        id=exception_id,
        approver=approver,
        granted_at=now,
        starts_at=starts_at,
        uses=0,
        state=state_at(starts_at, asked.ends_at, None, now),
    )
