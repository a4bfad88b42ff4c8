"""Upkeep: what has had its time is forgotten, so that the store does not grow without bound."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from controlplane.storage import Store, StoreUnavailable

EVERY_SECONDS = 600.0
DAY_SECONDS = 86_400.0
SPENT_TOKEN_DAYS = 7.0
EVENT_SECONDS = 3600.0
"""How long security events are kept: an enforcement point that was away for less resumes where it was."""

EXCEPTION_DAYS = 400.0
"""How long an exception is kept after its end: whoever looks back a year finds who approved what, and how often it
was used."""

_log = structlog.get_logger("ztfm.upkeep")


async def keep_up(
    store: Store,
    decision_days: float,
    retention: Callable[[], Awaitable[Mapping[str, float]]],
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Forget, every ten minutes and for ever, what has had its time.

    That are old decisions, kept answers, revocations that can concern nothing any more, security events of an hour
    ago, exceptions that ended over a year ago, all but the newest releases of policies, and enrolment tokens that
    expired a week ago.

    Args:
        store: what is kept.
        decision_days: how long recorded decisions are kept at most.
        retention: asks policy for how many days they are kept, by package; of those that it does not name, the bound
            above holds alone.
        clock: Unix seconds.
        sleep: waits between two passes.
    """
    looked_until: dict[str, float] = {}
    while True:
        now = clock()
        try:
            decisions = await store.decisions.purge(now - decision_days * DAY_SECONDS)
            decisions += await _forget_by_policy(store, decision_days, await retention(), now, looked_until)
            tokens = await store.tokens.purge(now - SPENT_TOKEN_DAYS * DAY_SECONDS)
            await store.idempotency.purge(now)
            await store.revocations.purge(now)
            await store.events.purge(now - EVENT_SECONDS)
            await store.exceptions.purge(now - EXCEPTION_DAYS * DAY_SECONDS)
            await store.releases.purge()
        except StoreUnavailable as error:
            _log.warning("upkeep_failed", error=type(error).__name__)
        else:
            if decisions or tokens:
                _log.info("forgotten", decisions=decisions, enrolments=tokens)
        await sleep(EVERY_SECONDS)


async def _forget_by_policy(
    store: Store, most_days: float, retention: Mapping[str, float], now: float, looked_until: dict[str, float]
) -> int:
    forgotten = 0
    for package, days in retention.items():
        until = now - min(days, most_days) * DAY_SECONDS
        # What lies before was looked through by an earlier pass.
        since = looked_until.get(package, 0.0)
        forgotten += await store.decisions.purge(until, since=since, action=package)
        looked_until[package] = max(since, until)
    return forgotten
