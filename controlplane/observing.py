"""Ties what the parts report to the metrics: the parts know no metric, the metrics know no part."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

import structlog

from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import DeviceStatus
from controlplane.contracts.keys import KeyStanding, KeyState
from controlplane.contracts.policies import PolicyStanding, Refusal, Release
from controlplane.contracts.shadow import ShadowCounts
from controlplane.decisions.exceptionuses import ExceptionUses
from controlplane.decisions.responses import Response
from controlplane.identifiers.records import Act
from controlplane.identity.comparing import Finding
from controlplane.telemetry.metrics import Metrics

_log = structlog.get_logger("ztfm.decisions")


class Observer:
    """Counts decisions, calls to OPA and audit groups.

    Attributes:
        exception_uses: how often granted exceptions were needed, until it is written.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._revision = ""
        self._exemplary_at = 0.0
        self.exception_uses = ExceptionUses()

    def decided(self, package: str, decision: Decision, seconds: float) -> None:
        """Count a decision and note the revision that made it."""
        metrics = self._metrics
        exemplar = self._exemplar(package, decision)
        metrics.decisions.given.labels(package, decision.outcome).inc(exemplar=exemplar)
        metrics.decisions.duration.labels(package).observe(seconds, exemplar)
        metrics.decisions.by_revision.count(decision.policy_revision, decision.outcome)
        for reason in decision.reasons:
            metrics.decisions.reasons.labels(package, metrics.reason(reason.code)).inc(exemplar=exemplar)
        if decision.obligations.exceptions and package != "search":
            self._excepted(package, decision)
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

    def _exemplar(self, package: str, decision: Decision) -> dict[str, str] | None:
        """Each denial and error leads to its record; of what is allowed, one a second does."""
        if package == "search":
            return None
        if decision.outcome == "allow":
            if decision.time - self._exemplary_at < 1.0:
                return None
            self._exemplary_at = decision.time
        return {"decision_id": decision.id}

    def _excepted(self, package: str, decision: Decision) -> None:
        for code in decision.obligations.waived:
            self._metrics.interventions.exceptions_used.labels(package, self._metrics.reason(code)).inc()
        self.exception_uses.add(decision.obligations.exceptions, decision.time)
        _log.info(
            "allowed_by_exception",
            decision_id=decision.id,
            action=decision.action,
            exceptions=decision.obligations.exceptions,
            waived=decision.obligations.waived,
        )

    def excepting(self, live: int, age_seconds: float) -> None:
        """Show how many granted exceptions have not ended, and how long ago that was read."""
        self._metrics.interventions.exceptions.set(live)
        self._metrics.interventions.exceptions_age.set(age_seconds)

    def holding(self, current: int) -> None:
        """Show how many holds last."""
        self._metrics.interventions.holds.set(current)

    def alerted(self, response: str) -> None:
        """Count an alert by what became of it."""
        self._metrics.interventions.alerts.labels(response).inc()

    def exceptions_ending(self, ending: int) -> None:
        """Show how many granted exceptions are in use and end within a day."""
        self._metrics.interventions.exceptions_ending.set(ending)

    def responded(self, response: Response) -> None:
        """Count what was judged of a subject, and where it stands from now on."""
        metrics, judged = self._metrics, response.judged
        segment = metrics.segment(response.device.segment)
        if judged is not None:
            metrics.behaviour.trust_score.labels(segment).observe(response.device.trust.score)
            metrics.behaviour.e_value.observe(judged.e_value)
            if judged.p_value is not None and response.channel == "updates":
                metrics.behaviour.p_value.labels(segment).observe(judged.p_value)
            if judged.attribution is not None:
                metrics.behaviour.attributions.labels(judged.attribution.attack).inc()
        if response.state != response.was:
            metrics.behaviour.transitions.labels(response.was, response.state, segment).inc()
            if response.state == "quarantined":
                metrics.behaviour.quarantines.labels(segment).inc()
            _log_transition(response)

    def subjects(self, counts: Mapping[str, int]) -> None:
        """Show how many subjects stand where."""
        for state in get_args(BehaviourState):
            self._metrics.behaviour.subjects.labels(state).set(counts.get(state, 0))

    def least_trusted(self, scores: Sequence[float]) -> None:
        """Show the lowest trust of those who may still ask."""
        self._metrics.behaviour.least_trusted(scores)

    def behaviour_terms_unavailable(self, cause: str) -> None:
        """Count and log that policy did not say how behaviour is judged."""
        self._metrics.behaviour.terms_failures.inc()
        remedy = "no update is judged, and reports are answered with 503: see policies/ztfm/behaviour"
        _log.error("behaviour_terms_unavailable", cause=cause, remedy=remedy)

    def requests_watched(self, folded: int, dropped: int) -> None:
        """Count requests that were folded into windows, and those that were dropped for lack of room."""
        self._metrics.watched.requests.labels("folded").inc(folded)
        self._metrics.watched.requests.labels("dropped").inc(dropped)

    def windows_judged(self, channel: str, scores: list[float], lost: int) -> None:
        """Count windows by what became of them, and how far they deviate."""
        self._metrics.watched.windows.labels(channel, "judged").inc(len(scores))
        self._metrics.watched.windows.labels(channel, "lost").inc(lost)
        for score in scores:
            self._metrics.watched.score.labels(channel).observe(score)

    def signals_taken(self, passed_over: int, injections: int, secrets: int) -> None:
        """Count what gateways report that does not count, and what they flagged."""
        self._metrics.watched.windows.labels("inference", "passed_over").inc(passed_over)
        self._metrics.watched.flags.labels("injection").inc(injections)
        self._metrics.watched.flags.labels("secret").inc(secrets)

    def rollback(self, outcome: str) -> None:
        """Count a rollback that was ordered, or that has ended."""
        self._metrics.training.rollbacks.labels(outcome).inc()

    def rollbacks_waiting(self, count: int, age_seconds: float) -> None:
        """Show how many rollbacks are not done, and for how long the oldest has waited."""
        self._metrics.training.rollbacks_waiting.set(count)
        self._metrics.training.rollbacks_waiting_age.set(age_seconds)

    def revision(self, revision: str) -> None:
        """Note the revision that decides."""
        if revision and revision != self._revision:
            self._revision = revision
            self._metrics.policies.decides(revision, self._clock())
            _log.info("policy_active", policy_revision=revision)

    def released(self, release: Release) -> None:
        """Count a release that was made here."""
        self._metrics.policies.releases.labels(release.layer, release.origin).inc()

    def refused(self, refusal: Refusal) -> None:
        """Count a bundle that was not taken."""
        self._metrics.policies.refused.labels(refusal.reason).inc()

    def policies(self, standing: PolicyStanding) -> None:
        """Show what evaluates policies, when what is to decide was published, and whether it does."""
        self._metrics.policies.engine.labels(standing.engine).set(1)
        for layer in (one for one in standing.layers if one.is_expected):
            release = layer.release
            is_current = release is not None and release.revision == layer.active_revision
            self._metrics.policies.current.labels(layer.layer).set(1 if is_current else 0)
            if release is not None:
                self._metrics.policies.published.labels(layer.layer).set(release.published_at)

    def call(self, result: str, seconds: float, size: int) -> None:
        """Count a call to OPA."""
        self._metrics.engine.requests.labels(result).inc()
        self._metrics.engine.duration.observe(seconds)
        self._metrics.engine.batch_size.observe(size)

    def state(self, queued: int, *, circuit_open: bool) -> None:
        """Show the queue and the circuit."""
        self._metrics.engine.queue_length.set(queued)
        self._metrics.engine.circuit_open.set(1 if circuit_open else 0)

    def fault(self, error: BaseException) -> None:
        """Count and log a fault that nobody foresaw; the decisions it touched were denied."""
        self._metrics.engine.requests.labels("error").inc()
        _log.error("engine_fault", error=type(error).__name__)

    def ready(self, is_ready: bool) -> None:
        """Show whether decisions can be given."""
        self._metrics.edge.ready.set(1 if is_ready else 0)

    def keys(self, standings: Iterable[KeyStanding], age_seconds: float, schedule_seconds: float) -> None:
        """Show how the signing keys stand, how old the one that signs is, and how old it should become."""
        count = Counter(item.state for item in standings)
        for state in get_args(KeyState):
            self._metrics.capabilities.keys.labels(state).set(count[state])
        self._metrics.capabilities.key_age.set(age_seconds)
        self._metrics.capabilities.key_schedule.set(schedule_seconds)

    def revoked(self, kind: str) -> None:
        """Count something that is void: a capability, all of a subject's, or a key."""
        self._metrics.revocation.revocations.labels(kind).inc()

    def announced(self, kind: str) -> None:
        """Count a security event that was written."""
        self._metrics.revocation.events.labels(kind).inc()

    def listening(self, listeners: int) -> None:
        """Show how many listen to events."""
        self._metrics.revocation.listeners.set(listeners)

    def dropped(self) -> None:
        """Count a listener that was too slow."""
        self._metrics.revocation.listeners_dropped.inc()

    def restarted(self, code: int) -> None:
        """Count an OPA that ended by itself."""
        self._metrics.engine.restarts.inc()
        _log.error("sidecar_ended", exit_code=code, remedy="it is being restarted; see its log above")

    def masked(self, package: str, count: int) -> None:
        """Count values that were kept out of the log."""
        self._metrics.records.masked.labels(package).inc(count)

    def terms_unavailable(self, cause: str) -> None:
        """Count and log that policy did not say what the log may hold."""
        self._metrics.records.terms_failures.inc()
        remedy = "all that callers add is masked, and kept as long as the setting says: see policies/ztfm/log"
        _log.error("log_terms_unavailable", cause=cause, remedy=remedy)

    def wrote(self, group: int) -> None:
        """Count an audit commit."""
        self._metrics.records.written.labels("written").inc(group)
        self._metrics.records.group_size.observe(group)

    def head(self, size: int, time: float, witnesses: int, needed: int) -> None:
        """Show the latest signed head of the log."""
        self._metrics.log.witnesses_needed.set(needed)
        self._metrics.log.entries.set(size)
        self._metrics.log.signed.set(time)
        self._metrics.log.cosignatures.set(witnesses)

    def rewritten(self) -> None:
        """Count that the log is not what was signed."""
        self._metrics.log.rewritten.inc()

    def witness(self, name: str, result: str) -> None:
        """Count what a witness answered; they are few, and named by the settings."""
        self._metrics.log.witness_answers.labels(name, result).inc()

    def identity_record(self, act: Act) -> None:
        """Count a record of an identity that the ledger has, and that counts."""
        self._metrics.identity.records.labels(act).inc()

    def found(self, finding: Finding) -> None:
        """Count and log a difference between registry and ledger."""
        self._metrics.identity.findings.labels(finding.kind).inc()
        _log.error("identity_finding", finding=finding.kind, subject=finding.subject, detail=finding.detail)

    def responded_to(self, finding: Finding, status: DeviceStatus, decision_id: str) -> None:
        """Count and log that a device has another status because of a finding."""
        self._metrics.identity.responses.labels(status).inc()
        _log.warning(
            "identity_response", finding=finding.kind, subject=finding.subject, status=status, decision_id=decision_id
        )

    def ledger(self, lag: float, waiting: int) -> None:
        """Show how long ago the ledger was read to its end, and how many records are not final on it."""
        self._metrics.identity.ledger_lag.set(lag)
        self._metrics.identity.ledger_outbox.set(waiting)

    def shadowed(self, counts: ShadowCounts) -> None:
        """Count what a candidate in the shadow decided."""
        results = {"agreed": counts.agreed, "failed": counts.failed, "dropped": counts.dropped}
        for result, number in {**results, "disagreed": sum(counts.changes.values())}.items():
            self._metrics.policies.shadow_decisions.labels(result).inc(number)
        for change, number in counts.changes.items():
            self._metrics.policies.shadow_changes.labels(change).inc(number)

    def lost(self, group: int) -> None:
        """Count records that could not be kept; their decisions were not given out."""
        self._metrics.records.written.labels("failed").inc(group)


def _log_transition(response: Response) -> None:
    attribution = response.judged.attribution if response.judged else None
    _log.warning(
        "behaviour_state",
        subject=response.device.id,
        segment=response.device.segment,
        state=response.state,
        was=response.was,
        channel=response.channel or "time",
        e_value=round(response.observed.e_value, 3),
        attack=attribution.attack if attribution else None,
        decision_id=response.decision.id if response.decision else None,
    )
