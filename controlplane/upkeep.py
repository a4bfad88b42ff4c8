"""Upkeep: what has had its time is forgotten, and who was set apart for long enough is asked about."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from controlplane.audit.errors import AuditUnavailable
from controlplane.confidentiality.privacy import AccountantMissing
from controlplane.contracts.identity import Device
from controlplane.decisions.responding import Contended
from controlplane.decisions.responses import Response
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.privacy import PrivacyAccounts, day_of
from controlplane.storage.steady import Steady
from controlplane.telemetry.behaviour_metrics import LEAST_TRUSTED

EVERY_SECONDS = 600.0
DAY_SECONDS = 86_400.0
SPENT_TOKEN_DAYS = 7.0
EVENT_SECONDS = 3600.0
"""How long security events are kept: an enforcement point that was away for less resumes where it was."""

EXCEPTION_DAYS = 400.0
"""How long an exception is kept after its end: whoever looks back a year finds who approved what, and how often it
was used."""

HOLD_DAYS = 90.0
"""How long a hold is kept after its end: for as long an alert that is told of again asks for the same one."""

SCORE_DAYS = 30.0
"""How long scores are kept that others may be compared with; the terms of behaviour look at the latest rounds alone."""

WINDOW_SCORE_SECONDS = 21_600.0
"""The same of windows of requests and inferences, of which each subject has one a minute, and the latest thousands are
looked at."""

VERDICT_DAYS = 90.0
CONTRIBUTION_DAYS = 90.0
"""How long it is known whose updates went into which model, so that they can be taken out again."""

ATTESTATION_DAYS = 30.0
"""How long it is kept what became of evidence, after it has stopped to count."""

ATTESTED_EVERY_SECONDS = 60.0
RELEASE_EVERY_SECONDS = 60.0
MOST_RELEASED = 100
"""Subjects that policy set apart that are asked about in one pass."""

_log = structlog.get_logger("ztfm.upkeep")


class Releases(Protocol):
    """Asks whether a subject has been set apart for long enough; `decisions.responding` does."""

    async def time_passed(self, device: Device) -> Response | None:
        """Return what becomes of it; none when that cannot be asked, or policy has not set it apart any more."""
        ...


class Devices(Protocol):
    """Registered devices."""

    async def get(self, device_id: str) -> Device | None:
        """Return a device by id, or none."""
        ...


class AttestedObserver(Protocol):
    """Shows what devices have proven."""

    def proven(self, counts: Mapping[str, tuple[int, int, float]]) -> None:
        """By level: so many count, so many have lapsed, and so old is the oldest that counts, in seconds."""
        ...


class SubjectsObserver(Protocol):
    """Shows where subjects stand."""

    def subjects(self, counts: Mapping[str, int]) -> None:
        """So many are in each state."""
        ...

    def least_trusted(self, scores: Sequence[float]) -> None:
        """These are the lowest trust scores of those who may still ask, the lowest first."""
        ...


async def keep_up(
    store: Store,
    decision_days: float,
    retention: Callable[[], Awaitable[Mapping[str, float]]],
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ticks: Callable[[], float] = time.monotonic,
) -> None:
    """Forget, every ten minutes and for ever, what has had its time.

    That are old decisions, kept answers, revocations that can concern nothing any more, grants on the network that
    ended, sessions that ended, security events of an hour ago, exceptions that ended over a year ago, holds, all but
    the newest releases of policies, enrolment tokens that expired a week ago, and what was observed, judged and
    contributed some months ago.
    A wall clock that jumps ahead is followed slowly: what it would have forgotten comes back to nobody.

    Args:
        store: what is kept.
        decision_days: how long recorded decisions are kept at most.
        retention: asks policy for how many days they are kept, by package; of those that it does not name, the bound
            above holds alone.
        clock: Unix seconds.
        sleep: waits between two passes.
        ticks: seconds that only go forward.
    """
    looked_until: dict[str, float] = {}
    steady = Steady(ticks)
    while True:
        now = steady.follow(clock())
        try:
            decisions = await store.decisions.purge(now - decision_days * DAY_SECONDS)
            decisions += await _forget_by_policy(store, decision_days, await retention(), now, looked_until)
            tokens = await store.tokens.purge(now - SPENT_TOKEN_DAYS * DAY_SECONDS)
            await store.idempotency.purge(now)
            await store.revocations.purge(now)
            await store.events.purge(now - EVENT_SECONDS)
            await store.exceptions.purge(now - EXCEPTION_DAYS * DAY_SECONDS)
            await store.holds.purge(now - HOLD_DAYS * DAY_SECONDS)
            await store.attestations.purge(now, now - ATTESTATION_DAYS * DAY_SECONDS)
            await store.releases.purge()
            await store.segments.purge(now)
            await store.sessions.purge(now)
            await store.observations.purge(
                now - SCORE_DAYS * DAY_SECONDS, now - VERDICT_DAYS * DAY_SECONDS, now - WINDOW_SCORE_SECONDS
            )
            await store.contributions.purge(now - CONTRIBUTION_DAYS * DAY_SECONDS)
            await store.rollbacks.purge(now - CONTRIBUTION_DAYS * DAY_SECONDS)
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


async def let_back(
    store: Store,
    devices: Devices,
    responder: Releases,
    observer: SubjectsObserver,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Ask policy, every minute and for ever, about those whom it set apart; show how many subjects stand where.

    Whom a person set apart, only a person lets back.

    Args:
        store: knows who is set apart, and since when.
        devices: registered ones.
        responder: asks.
        observer: shows.
        sleep: waits between two passes.
    """
    while True:
        try:
            await _ask_about_all(store, devices, responder)
            observer.subjects(await store.behaviour.counts())
            observer.least_trusted(await store.behaviour.least_trusted(LEAST_TRUSTED))
        except (StoreUnavailable, AuditUnavailable, Contended) as error:
            _log.warning("release_failed", error=type(error).__name__)
        await sleep(RELEASE_EVERY_SECONDS)


async def _ask_about_all(store: Store, devices: Devices, responder: Releases) -> None:
    for subject in await store.behaviour.set_apart(MOST_RELEASED):
        device = await devices.get(subject)
        response = await responder.time_passed(device) if device is not None else None
        outcome = response.decision.outcome if response is not None and response.decision is not None else "deny"
        if response is not None and response.state == "quarantined" and outcome != "deny":
            # Those that follow are set apart for a shorter time still, or policy cannot be asked.
            return


async def count_attested(
    store: Store,
    observer: AttestedObserver,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Show, every minute and for ever, how many devices have proven what of their platforms.

    Args:
        store: knows it.
        observer: shows it.
        clock: Unix seconds.
        sleep: waits between two passes.
    """
    while True:
        now = clock()
        try:
            found = await store.attestations.proven(now)
        except StoreUnavailable as error:
            _log.warning("attested_not_counted", error=type(error).__name__)
        else:
            observer.proven(
                {
                    level: (one.current, one.lapsed, 0.0 if one.oldest_at is None else max(0.0, now - one.oldest_at))
                    for level, one in found.items()
                }
            )
        await sleep(ATTESTED_EVERY_SECONDS)


class Budgets(Protocol):
    """Tells how privacy budgets stand; `decisions.privacy_standing` does."""

    async def data_sets(self) -> list[str]:
        """Return the data sets that plans draw on."""
        ...

    async def fullest_share(self, data_set: str) -> float:
        """Return how much of its budget the fullest account of a data set has spent."""
        ...

    async def kept_days(self) -> int | None:
        """Return for how many days it is kept on which day something was spent; none while that is not known."""
        ...


class BudgetObserver(Protocol):
    """Shows how full budgets are."""

    def privacy_fullest(self, data_set: str, share: float) -> None:
        """The fullest account of a data set has spent this share."""
        ...


async def keep_budgets(
    accounts: PrivacyAccounts,
    budgets: Budgets,
    observer: BudgetObserver,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Show, every minute and for ever, how full privacy budgets are; put together what no window reaches any more.

    Args:
        accounts: what was spent.
        budgets: tells how they stand.
        observer: shows it.
        clock: Unix seconds.
        sleep: waits between two passes.
    """
    while True:
        try:
            for data_set in await budgets.data_sets():
                observer.privacy_fullest(data_set, await budgets.fullest_share(data_set))
            kept_days = await budgets.kept_days()
            if kept_days is not None:
                await accounts.gather(day_of(clock()) - kept_days)
        except (StoreUnavailable, AccountantMissing) as error:
            _log.warning("budgets_not_shown", error=type(error).__name__)
        await sleep(RELEASE_EVERY_SECONDS)
