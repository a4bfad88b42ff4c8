"""Budgets of inference: tokens and requests of a subject, a model and a segment, leased to gateways."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.base import Identifier, Label, StrictModel, Timestamp

BudgetScope = Literal["subject", "model", "segment"]
"""Whose a budget is."""

BudgetSpan = Literal["hour", "day"]
"""What a window is, in UTC: a budget is whole again when the next one begins."""

SPAN_SECONDS: dict[BudgetSpan, int] = {"hour": 3_600, "day": 86_400}
"""Lengths of the windows; each fits whole into the longer ones, so what lies in one hour lies in one day."""

MAX_LEASED = 1_000_000_000
"""Requests or tokens of one lease."""

MAX_SETTLED = 256
"""Leases that are settled at once."""

MAX_STANDINGS = 200
"""Budgets that are told at once."""

LEASE_PREFIX = "lease"

MAX_AMOUNT = 2**53

Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT)]
"""Requests or tokens of a budget; whole numbers, which every JSON library reads exactly."""

LeasedAmount = Annotated[int, Field(ge=0, le=MAX_LEASED)]


class Amounts(StrictModel):
    """So many requests, and so many tokens.

    Attributes:
        requests: each is one forwarded request, whatever became of it.
        tokens: of prompts and of answers together.
    """

    requests: Amount
    tokens: Amount


Limits = Annotated[
    dict[BudgetScope, Annotated[dict[BudgetSpan, Amounts], Field(max_length=2)]],
    Field(max_length=3),
]
"""What may be used, by whose budget it is and by window."""


class LeaseTerms(StrictModel):
    """What policy lets be leased, and the budgets that it is taken from.

    Attributes:
        requests: that are leased.
        tokens: that are leased.
        limits: of all budgets; the store takes the lease from all of them, or from none.
    """

    requests: Annotated[int, Field(ge=1, le=MAX_LEASED)]
    tokens: LeasedAmount
    limits: Limits


class LeaseRequest(StrictModel):
    """A gateway asks for a part of the budgets of a subject, a model and the subject's segment.

    Attributes:
        subject: the device that asks the model.
        model: that it asks.
        requests: that are needed now; policy may lease more, and never less.
        tokens: that are needed now, of the prompt and the longest answer.
    """

    subject: Identifier
    model: Identifier
    requests: Annotated[int, Field(ge=1, le=MAX_LEASED)] = 1
    tokens: LeasedAmount


class BudgetLease(StrictModel):
    """A part of three budgets that one gateway may spend by itself.

    Attributes:
        id: to settle it by.
        subject: for whose requests.
        model: for requests to it.
        segment: of the subject, whose budget it is taken from too.
        requests: that may be forwarded.
        tokens: that they may use together.
        seconds: for which it may be spent, from when it was asked for: clocks need not agree.
        expires_at: the same as a time by the control plane's clock, Unix seconds.
        decision_id: of the decision that allowed it.
    """

    id: Identifier
    subject: Identifier
    model: Identifier
    segment: Label
    requests: LeasedAmount
    tokens: LeasedAmount
    seconds: Annotated[float, Field(ge=0.0, le=86_400.0)]
    expires_at: Timestamp
    decision_id: Identifier


class LeaseUse(StrictModel):
    """What was used of a lease; what is left of it goes back.

    Attributes:
        lease: its id.
        requests: that were forwarded.
        tokens: that they used. More than were leased is told too: what was used is used.
    """

    lease: Identifier
    requests: LeasedAmount
    tokens: LeasedAmount


class Settlements(StrictModel):
    """What was used of leases. Each is settled once; told again, nothing changes."""

    settlements: Annotated[list[LeaseUse], Field(min_length=1, max_length=MAX_SETTLED)]


class SettledLease(StrictModel):
    """What became of a settlement.

    Attributes:
        lease: its id.
        state: ``settled`` now, ``known`` from before, or ``unknown``: no lease of this gateway, or one of long ago.
    """

    lease: Identifier
    state: Literal["settled", "known", "unknown"]


class SettlementsTaken(StrictModel):
    """What became of settlements, in their order."""

    settled: list[SettledLease]


class BudgetStanding(StrictModel):
    """How one budget stands in its current window.

    Attributes:
        scope: whose kind it is.
        id: whose: a device, a model, a segment.
        span: the kind of window.
        starts_at: of the window, Unix seconds.
        ends_at: when it is whole again, Unix seconds.
        used: what was used.
        leased: what gateways hold beside that, and have not settled.
        limit: the budget, as the latest lease was decided with it.
    """

    scope: BudgetScope
    id: Identifier
    span: BudgetSpan
    starts_at: Timestamp
    ends_at: Timestamp
    used: Amounts
    leased: Amounts
    limit: Amounts


class BudgetsFound(StrictModel):
    """Budgets that anything was leased from in their current windows, the fullest first."""

    budgets: Annotated[list[BudgetStanding], Field(max_length=MAX_STANDINGS)]


def window_start(span: BudgetSpan, moment: float) -> int:
    """Return when the window of a kind begins that ``moment`` (Unix seconds) lies in, Unix seconds."""
    seconds = SPAN_SECONDS[span]
    return int(moment // seconds) * seconds


def window_end(span: BudgetSpan, moment: float) -> int:
    """Return when the window of a kind ends that ``moment`` (Unix seconds) lies in, Unix seconds."""
    return window_start(span, moment) + SPAN_SECONDS[span]
