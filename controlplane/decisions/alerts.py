"""Alerts ask policy: each is decided on like any request, and what comes of it is carried out, once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from controlplane.contracts.alerts import (
    MAX_ALERT_AGE_SECONDS,
    MAX_ALERT_AHEAD_SECONDS,
    Alert,
    AlertAnswered,
    AlertFact,
)
from controlplane.contracts.decision import Decision
from controlplane.contracts.holds import Hold, HoldObligation
from controlplane.decisions.holds import CurrentHolds
from controlplane.storage.errors import StoreUnavailable
from controlplane.storage.holds import Holds, hold_id

PACKAGE = "alert"

BY_ALERT = "alert"
"""Who ended a hold whose alert was resolved."""

RESOLVED = "The alert was resolved."

_log = structlog.get_logger("ztfm.alerts")


class AlertUndecided(Exception):  # noqa: N818 - a state, as callers see it
    """Policy could not be asked about an alert; what came before it was carried out.

    Attributes:
        decision: that says so.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.id)
        self.decision = decision


class Decides(Protocol):
    """Decides; `decisions.decider` does."""

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        """Return the recorded decision of a package."""
        ...


class Subjects(Protocol):
    """Knows how many subjects stand where; `storage.behaviour` does."""

    async def counts(self) -> Mapping[str, int]:
        """Return how many are in each state; a state without any is absent."""
        ...


class AlertObserver(Protocol):
    """Counts alerts."""

    def alerted(self, response: str) -> None:
        """An alert was answered so."""
        ...


class AlertDesk:
    """The one way from an alert to what is held because of it.

    Args:
        decider: decides.
        store: keeps holds.
        current: what is held, as decisions see it.
        subjects: knows how many stand where.
        revision: returns the policy revision that decides; empty when none is known.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        decider: Decides,
        store: Holds,
        current: CurrentHolds,
        subjects: Subjects,
        revision: Callable[[], Awaitable[str]],
        observer: AlertObserver,
        clock: Callable[[], float],
    ) -> None:
        self._decider, self._store, self._current = decider, store, current
        self._subjects, self._revision, self._observer, self._clock = subjects, revision, observer, clock

    async def respond(self, receiver: str, alerts: Sequence[Alert]) -> list[AlertAnswered]:
        """Decide on each alert and carry out what is decided; the same alert again changes nothing more.

        Args:
            receiver: of Alertmanager, that tells of them.
            alerts: untrusted, but for whoever may tell of alerts at all.

        Raises:
            AlertUndecided: policy cannot be asked; tell of them again.
            AuditUnavailable: a decision cannot be recorded, and so was not made.
            StoreUnavailable: the store failed; tell of them again.
        """
        around = {"policy_revision": await self._revision(), "subjects": await self._subjects.counts()}
        answered = []
        for alert in alerts:
            one = await self._respond(receiver, alert, around)
            self._observer.alerted(one.response)
            answered.append(one)
        return answered

    async def are_untimely(self, alerts: Sequence[Alert]) -> bool:
        """Whether all alerts are too old for any policy to be asked, and none of them had anything held before.

        Raises:
            StoreUnavailable: the store failed.
        """
        now = self._clock()
        if not all(is_late(alert, now) for alert in alerts):
            return False
        return not any([await self._known(alert, now) for alert in alerts])

    async def _known(self, alert: Alert, now: float) -> Hold | None:
        return await self._store.get(hold_id(alert.fingerprint, alert.started_at), now)

    async def _respond(self, receiver: str, alert: Alert, around: Mapping[str, Any]) -> AlertAnswered:
        now = self._clock()
        if is_late(alert, now):
            known = await self._known(alert, now)
            return AlertAnswered(fingerprint=alert.fingerprint, response="late", hold=known)
        fact = alert_fact(alert)
        facts = {
            "subject": {"type": "alertmanager", "id": receiver},
            "action": {"name": "alert"},
            "resource": {"type": "alert", "id": fact.name},
            "context": {
                "time": now,
                "alert": fact.model_dump(exclude_none=True),
                "holds": self._current.all(),
                **around,
            },
        }
        decision = await self._decider.decide(PACKAGE, facts)
        if decision.outcome == "error":
            raise AlertUndecided(decision)
        if not decision.allowed:
            return AlertAnswered(
                fingerprint=alert.fingerprint, response="denied", decision_id=decision.id, reasons=decision.reasons
            )
        if decision.obligations.hold is not None:
            return await self._hold(fact, decision, decision.obligations.hold)
        if decision.obligations.release:
            return await self._release(fact, decision)
        return AlertAnswered(fingerprint=alert.fingerprint, response="nothing", decision_id=decision.id)

    async def _hold(self, fact: AlertFact, decision: Decision, wanted: HoldObligation) -> AlertAnswered:
        begun = await self._store.begin(_hold(fact, decision, wanted, self._clock()))
        if begun.how == "full":
            _log.error("hold_not_begun", alert=fact.name, decision_id=decision.id, remedy="release some: ztfm holds")
            return AlertAnswered(fingerprint=fact.fingerprint, response="full", decision_id=decision.id)
        if begun.how == "begun":
            await self._take_in()
        # What has ended before its alert did is not begun again: it would be prolonged beyond what policy said.
        lasts = begun.hold is not None and begun.hold.state == "current"
        return AlertAnswered(
            fingerprint=fact.fingerprint,
            response="hold" if lasts else "nothing",
            decision_id=decision.id,
            hold=begun.hold,
        )

    async def _release(self, fact: AlertFact, decision: Decision) -> AlertAnswered:
        name, now = hold_id(fact.fingerprint, fact.started_at), self._clock()
        is_ended = await self._store.release(name, BY_ALERT, RESOLVED, now)
        if is_ended:
            await self._take_in()
        return AlertAnswered(
            fingerprint=fact.fingerprint,
            response="release" if is_ended else "nothing",
            decision_id=decision.id,
            hold=await self._store.get(name, now),
        )

    async def _take_in(self) -> None:
        # It is kept, so where this fails the next look at the store takes it in.
        try:
            await self._current.refresh()
        except StoreUnavailable:
            _log.warning("hold_not_taken_in", remedy="it is within a second, or everything that can be held is denied")


def is_late(alert: Alert, now: float) -> bool:
    """Whether an alert began, or was resolved, too long ago for any policy to be asked (``now`` in Unix seconds)."""
    since = alert.started_at if alert.ended_at is None else alert.ended_at
    return now - since > MAX_ALERT_AGE_SECONDS or alert.started_at < 0.0


def is_ahead(alert: Alert, now: float) -> bool:
    """Whether an alert is of a time that has not come yet (``now`` in Unix seconds)."""
    return max(alert.started_at, alert.ended_at or 0.0) > now + MAX_ALERT_AHEAD_SECONDS


def alert_fact(alert: Alert) -> AlertFact:
    """Return what policy is told of an alert."""
    return AlertFact(
        name=alert.labels["alertname"],
        severity=alert.labels.get("severity"),
        segment=alert.labels.get("segment"),
        status=alert.status,
        fingerprint=alert.fingerprint,
        started_at=alert.started_at,
        ended_at=alert.ended_at,
    )


def _hold(fact: AlertFact, decision: Decision, wanted: HoldObligation, now: float) -> Hold:
    return Hold(
        id=hold_id(fact.fingerprint, fact.started_at),
        segment=wanted.segment,
        actions=sorted(wanted.actions),
        alert=fact.name,
        fingerprint=fact.fingerprint,
        alert_started_at=fact.started_at,
        starts_at=now,
        ends_at=now + wanted.seconds,
        decision_id=decision.id,
        state="current",
    )
