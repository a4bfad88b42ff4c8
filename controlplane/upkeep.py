"""Upkeep: what has had its time is forgotten, so that the store does not grow without bound."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from controlplane.storage import Store, StoreUnavailable

EVERY_SECONDS = 600.0
DAY_SECONDS = 86_400.0
SPENT_TOKEN_DAYS = 7.0

_log = structlog.get_logger("ztfm.upkeep")


async def keep_up(
    store: Store,
    decision_days: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Forget, every ten minutes and for ever, old decisions and enrolment tokens that expired a week ago.

    Args:
        store: what is kept.
        decision_days: how long recorded decisions are kept.
        clock: Unix seconds.
        sleep: waits between two passes.
    """
    while True:
        now = clock()
        try:
            decisions = await store.decisions.purge(now - decision_days * DAY_SECONDS)
            tokens = await store.tokens.purge(now - SPENT_TOKEN_DAYS * DAY_SECONDS)
        except StoreUnavailable as error:
            _log.warning("upkeep_failed", error=type(error).__name__)
        else:
            if decisions or tokens:
                _log.info("forgotten", decisions=decisions, enrolments=tokens)
        await sleep(EVERY_SECONDS)
