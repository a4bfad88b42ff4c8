"""Upkeep: what has had its time is forgotten, so that the store does not grow without bound."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from controlplane.storage import Store, StoreUnavailable

EVERY_SECONDS = 600.0
DAY_SECONDS = 86_400.0
SPENT_TOKEN_DAYS = 7.0
EVENT_SECONDS = 3600.0
"""How long security events are kept: an enforcement point that was away for less resumes where it was."""

_log = structlog.get_logger("ztfm.upkeep")


async def keep_up(
    store: Store,
    decision_days: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Forget, every ten minutes and for ever, what has had its time.

    That are old decisions, kept answers, revocations that can concern nothing any more, security events of an hour
    ago, and enrolment tokens that expired a week ago.

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
            await store.idempotency.purge(now)
            await store.revocations.purge(now)
            await store.events.purge(now - EVENT_SECONDS)
        except StoreUnavailable as error:
            _log.warning("upkeep_failed", error=type(error).__name__)
        else:
            if decisions or tokens:
                _log.info("forgotten", decisions=decisions, enrolments=tokens)
        await sleep(EVERY_SECONDS)
