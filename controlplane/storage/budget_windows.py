"""The windows of budgets as rows: their keys, in the order in which they are locked, and what they say."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, case, or_

from controlplane.contracts.budgets import (
    MAX_AMOUNT,
    SPAN_SECONDS,
    Amounts,
    BudgetScope,
    BudgetSpan,
    BudgetStanding,
    window_end,
    window_start,
)
from controlplane.storage.tables_budgets import budget_accounts as accounts


class Window(NamedTuple):
    """One window of one budget: the key of its account, in the order in which accounts are locked."""

    scope: BudgetScope
    id: str
    span: BudgetSpan
    starts_at: int


def windows_of(owners: Mapping[BudgetScope, str], now: float) -> list[Window]:
    """Return the windows of budgets that ``now`` (Unix seconds) lies in, in the order in which they are locked."""
    return sorted(
        Window(scope, name, span, window_start(span, now)) for scope, name in owners.items() for span in SPAN_SECONDS
    )


def are(windows: Sequence[Window]) -> ColumnElement[bool]:
    """Return the condition for the accounts of these windows."""
    of = accounts.c
    return or_(
        *(
            (of.scope == one.scope) & (of.id == one.id) & (of.span == one.span) & (of.starts_at == one.starts_at)
            for one in windows
        )
    )


def has_room(row: Row[Any], asked: Amounts) -> bool:
    """Whether an account has room for so much, by the limit of its latest lease."""
    if row.requests_used + row.requests_leased + asked.requests > row.requests_limit:
        return False
    return bool(row.tokens_used + row.tokens_leased + asked.tokens <= row.tokens_limit)


def share() -> ColumnElement[float]:
    """Return how much of an account is used or leased: of its requests or its tokens, whichever is more."""
    of = accounts.c
    requests = (of.requests_used + of.requests_leased) * 1.0 / case((of.requests_limit > 0, of.requests_limit), else_=1)
    tokens = (of.tokens_used + of.tokens_leased) * 1.0 / case((of.tokens_limit > 0, of.tokens_limit), else_=1)
    return case((requests > tokens, requests), else_=tokens)


def told(requests: int, tokens: int) -> Amounts:
    """Return amounts as they are told: gateways may say that they used more than any budget has, and that is all."""
    return Amounts(requests=min(requests, MAX_AMOUNT), tokens=min(tokens, MAX_AMOUNT))


def standing_of(row: Row[Any]) -> BudgetStanding:
    """Return how an account stands."""
    return BudgetStanding(
        scope=row.scope,
        id=row.id,
        span=row.span,
        starts_at=float(row.starts_at),
        ends_at=float(window_end(row.span, row.starts_at)),
        used=told(row.requests_used, row.tokens_used),
        leased=told(row.requests_leased, row.tokens_leased),
        limit=Amounts(requests=row.requests_limit, tokens=row.tokens_limit),
    )
