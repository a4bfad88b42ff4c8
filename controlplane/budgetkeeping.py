"""Budgets of inference: shown how full they are, and forgotten when no window of theirs is told any more."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from controlplane.contracts.budgets import BudgetScope, BudgetStanding
from controlplane.storage import StoreUnavailable
from controlplane.storage.budgets import SCOPES, Budgets

EVERY_SECONDS = 60.0

KEPT_SECONDS = 8 * 86_400.0
"""How long windows and leases are kept; a gateway that was away for a day still settles what it holds."""

_log = structlog.get_logger("ztfm.budgets")


class StandingObserver(Protocol):
    """Shows how budgets stand."""

    def standing(self, fullest: Mapping[BudgetScope, float], leases: int, tokens: int) -> None:
        """Show the share of the fullest budget by kind, and how many leases and tokens were lost today."""
        ...


async def keep_allowances(
    budgets: Budgets,
    observer: StandingObserver,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Show, every minute and for ever, how full budgets are, and forget those of more than a week ago.

    Args:
        budgets: what was used and leased.
        observer: shows it.
        clock: Unix seconds.
        sleep: waits between two passes.
    """
    while True:
        now = clock()
        try:
            await budgets.purge(now - KEPT_SECONDS)
            pages = {scope: await budgets.page(now, scope, limit=1) for scope in SCOPES}
            lost = await budgets.lost(now)
        except StoreUnavailable as error:
            _log.warning("allowances_not_shown", error=type(error).__name__)
        else:
            fullest = {scope: share(page[0]) for scope, page in pages.items() if page}
            observer.standing(fullest, lost.leases, lost.tokens)
        await sleep(EVERY_SECONDS)


def share(one: BudgetStanding) -> float:
    """Return how much of a budget is used or leased: of its requests or its tokens, whichever is more.

    A budget of nothing is full once anything was taken, as `storage.budgets` puts them in order.
    """
    requests = (one.used.requests + one.leased.requests) / max(1, one.limit.requests)
    return max(requests, (one.used.tokens + one.leased.tokens) / max(1, one.limit.tokens))
