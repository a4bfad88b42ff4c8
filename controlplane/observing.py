"""Ties what the parts report to the metrics: the parts know no metric, the metrics know no part."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

import structlog

from controlplane.contracts.decision import Decision
from controlplane.contracts.keys import KeyStanding, KeyState
from controlplane.telemetry.metrics import Metrics

_log = structlog.get_logger("ztfm.decisions")


class Observer:
    """Counts decisions, calls to OPA and audit groups."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._revision = ""

    def decided(self, package: str, decision: Decision, seconds: float) -> None:
        """Count a decision and note the revision that made it."""
        metrics = self._metrics
        metrics.decisions.labels(package, decision.outcome).inc()
        metrics.decision_duration.labels(package).observe(seconds)
        for reason in decision.reasons:
            metrics.decision_reasons.labels(package, metrics.reason(reason.code)).inc()
        self.revision(decision.policy_revision)
        # A search meets denials by the hundred, and nobody was denied anything by them.
        if decision.outcome == "error" or (decision.outcome == "deny" and package != "search"):
            _log.info(
                "not_allowed",
                decision_id=decision.id,
                action=decision.action,
                outcome=decision.outcome,
                reasons=[reason.code for reason in decision.reasons],
            )

    def revision(self, revision: str) -> None:
        """Note the revision that decides."""
        if revision and revision != self._revision:
            self._revision = revision
            self._metrics.policy_revision(revision, self._clock())
            _log.info("policy_active", policy_revision=revision)

    def call(self, result: str, seconds: float, size: int) -> None:
        """Count a call to OPA."""
        self._metrics.opa_requests.labels(result).inc()
        self._metrics.opa_duration.observe(seconds)
        self._metrics.opa_batch_size.observe(size)

    def state(self, queued: int, *, circuit_open: bool) -> None:
        """Show the queue and the circuit."""
        self._metrics.opa_queue_length.set(queued)
        self._metrics.opa_circuit_open.set(1 if circuit_open else 0)

    def fault(self, error: BaseException) -> None:
        """Count and log a fault that nobody foresaw; the decisions it touched were denied."""
        self._metrics.opa_requests.labels("error").inc()
        _log.error("engine_fault", error=type(error).__name__)

    def ready(self, is_ready: bool) -> None:
        """Show whether decisions can be given."""
        self._metrics.ready.set(1 if is_ready else 0)

    def keys(self, standings: Iterable[KeyStanding], age_seconds: float, schedule_seconds: float) -> None:
        """Show how the signing keys stand, how old the one that signs is, and how old it should become."""
        count = Counter(item.state for item in standings)
        for state in get_args(KeyState):
            self._metrics.signing_keys.labels(state).set(count[state])
        self._metrics.signing_key_age.set(age_seconds)
        self._metrics.signing_key_schedule.set(schedule_seconds)

    def revoked(self, kind: str) -> None:
        """Count something that is void: a capability, all of a subject's, or a key."""
        self._metrics.revocations.labels(kind).inc()

    def announced(self, kind: str) -> None:
        """Count a security event that was written."""
        self._metrics.security_events.labels(kind).inc()

    def listening(self, listeners: int) -> None:
        """Show how many listen to events."""
        self._metrics.event_listeners.set(listeners)

    def dropped(self) -> None:
        """Count a listener that was too slow."""
        self._metrics.event_listeners_dropped.inc()

    def restarted(self, code: int) -> None:
        """Count an OPA that ended by itself."""
        self._metrics.sidecar_restarts.inc()
        _log.error("sidecar_ended", exit_code=code, remedy="it is being restarted; see its log above")

    def wrote(self, group: int) -> None:
        """Count an audit commit."""
        self._metrics.audit_records.labels("written").inc(group)
        self._metrics.audit_group_size.observe(group)

    def lost(self, group: int) -> None:
        """Count records that could not be kept; their decisions were not given out."""
        self._metrics.audit_records.labels("failed").inc(group)
