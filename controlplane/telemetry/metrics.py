"""The catalogue of Prometheus metrics: base units, bounded labels, and never a device id.

Every label value comes from a closed set that the code or the policy declares; what a caller can choose
freely is counted under ``other``.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from controlplane.contracts.alerts import AlertResponse
from controlplane.contracts.behaviour import Attack, BehaviourState
from controlplane.contracts.facts.enrolment import CertificateCause, CredentialCause
from controlplane.contracts.identity import EvidenceKind
from controlplane.contracts.policies import LAYERS, RefusalReason, ReleaseOrigin
from controlplane.contracts.shadow import DISAGREEMENTS
from controlplane.contracts.site import SiteActionName, SiteDecision, SiteOutcome, SiteReportsTaken
from controlplane.identifiers.documents import ERRORS

LATENCY_BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARE_BUCKETS = tuple(step / 10 for step in range(1, 11))
COSINE_DISTANCE_BUCKETS = tuple(step / 10 for step in range(0, 21, 2))
P_VALUE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
E_VALUE_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1e3, 1e4, 1e5, 1e6)
SCORE_BUCKETS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RATIO_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)

ACTIONS = ("model_access", "gradient_submission", "inference")
RECORD_ACTS = ("registered", "rotated", "revoked")
IDENTITY_FINDINGS = (
    "unrecorded",
    "other_key",
    "revoked_elsewhere",
    "late",
    "refused_record",
    "rejected",
    "ledger_lied",
)
PACKAGES = (*ACTIONS, "other", "search", "admin", "enrolment", "response", "alert", "identity")
OUTCOMES = ("allow", "deny", "error")
REVOKED = ("capability", "subject", "key")
EVENTS = ("session-revoked", "credential-change", "device-compliance-change")
SEARCHES = ("subject", "resource", "action")
TOKENS = ("metrics_token", "alerts_token")
METHODS = ("proof", "access_token", "certificate", "person", *TOKENS, "none")  # ways to say who one is
STATES: tuple[str, ...] = get_args(BehaviourState)
ATTACKS: tuple[str, ...] = get_args(Attack)
ROLLBACKS = ("ordered", "done", "failed")
WATCHED = ("access", "inference")
GRANTS = ("token_exchange", "client_credentials")
DID_METHODS = ("key", "web", "ethr")
DID_OUTCOMES = ("resolved", "cached", *ERRORS)
REPEATS = ("first", "replayed", "reused", "in_progress", "gone")
MAX_LABEL_VALUES = 128
MAX_REVISIONS = 16
LEAST_TRUSTED = 10
OTHER = "other"

Labelled = TypeVar("Labelled", Counter, Histogram)


class BoundedLabels:
    """Keeps a label's values to the first ``limit`` that appear; later ones become ``other``."""

    def __init__(self, limit: int = MAX_LABEL_VALUES, known: Iterable[str] = ()) -> None:
        self._limit = limit
        self._known = set(known)

    def __call__(self, value: str) -> str:
        """Return ``value`` while there is room for it, else ``other``."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit:
            return OTHER
        self._known.add(value)
        return value


def _remembering(metric: Labelled) -> Labelled:
    # Finding a child takes a lock and builds its name; labels are few, so each is looked for once.
    metric.labels = lru_cache(maxsize=None)(metric.labels)
    return metric


class LatestRevisions:
    """Keeps the latest ``limit`` policy revisions of a counter that names them; older ones are forgotten.

    Args:
        counter: whose labels are a revision and an outcome.
        limit: revisions that are shown at most.
    """

    def __init__(self, counter: Counter, limit: int = MAX_REVISIONS) -> None:
        self._counter = counter
        self._limit = limit
        self._known: dict[str, dict[str, Counter]] = {}

    def count(self, revision: str, outcome: str) -> None:
        """Count a decision of ``revision``."""
        known = self._known.get(revision)
        if known is None:
            known = self._begin(revision)
        known[outcome].inc()

    def _begin(self, revision: str) -> dict[str, Counter]:
        if len(self._known) >= self._limit:
            oldest = next(iter(self._known))
            for outcome in self._known.pop(oldest):
                self._counter.remove(oldest, outcome)
        known = self._known[revision] = {outcome: self._counter.labels(revision, outcome) for outcome in OUTCOMES}
        return known


class Metrics:
    """Every metric of the control plane, on a registry of its own.

    Args:
        version: of the product.
        causes: why a capability or a key proof may be refused; others are counted as ``other``.
    """

    def __init__(self, version: str, causes: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._causes = frozenset(causes)
        self._reasons = BoundedLabels()
        self._segments = BoundedLabels()
        self._decision_metrics()
        self._sidecar_metrics()
        self._policy_metrics()
        self._behaviour_metrics()
        self._edge_metrics()
        self._revocation_metrics()
        info = self._gauge("ztfm_build_info", "Version of the control plane", "version")
        info.labels(version).set(1)
        self._initialise()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return _remembering(Counter(name, text, labels, registry=self.registry))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return _remembering(Histogram(name, text, labels, registry=self.registry, buckets=buckets))

    def _decision_metrics(self) -> None:
        self.decisions = self._counter("ztfm_decisions_total", "Decisions given", "action", "outcome")
        self.decision_reasons = self._counter(
            "ztfm_decision_reasons_total", "Requirements that were missing in denied decisions", "action", "reason"
        )
        self.policy_decisions = LatestRevisions(
            Counter(
                "ztfm_policy_decisions_total",
                "Decisions by the policy revision that gave them; the latest revisions are shown",
                ("revision", "outcome"),
                registry=self.registry,
            )
        )
        self.decision_duration = self._histogram(
            "ztfm_decision_duration_seconds", "From gathered facts to a recorded decision", LATENCY_BUCKETS, "action"
        )
        self.capabilities_issued = self._counter("ztfm_capabilities_issued_total", "Capabilities minted", "action")
        self.capabilities_refused = self._counter(
            "ztfm_capabilities_refused_total", "Capabilities and key proofs that did not hold", "cause"
        )
        self.signing_keys = self._gauge("ztfm_signing_keys", "Signing keys by where they stand", "state")
        self.signing_key_age = self._gauge("ztfm_signing_key_age_seconds", "For how long the key that signs has signed")
        self.signing_key_schedule = self._gauge(
            "ztfm_signing_key_schedule_seconds", "For how long a key signs until the next one does"
        )
        self.search_candidates = self._histogram(
            "ztfm_search_candidates", "Candidates that a page of a search asked of", BATCH_BUCKETS, "kind"
        )
        self.audit_records = self._counter("ztfm_audit_records_total", "Decision records by result", "result")
        self.log_entries = self._gauge("ztfm_log_entries", "Entries of the log in its latest signed head")
        self.log_signed = self._gauge(
            "ztfm_log_checkpoint_timestamp_seconds", "When the latest head of the log was signed"
        )
        self.log_cosignatures = self._gauge("ztfm_log_cosignatures", "Witnesses that signed the latest head of the log")
        self.log_witnesses_needed = self._gauge(
            "ztfm_log_witnesses_needed", "Witnesses that must have signed a head for it to be believed"
        )
        self.log_witness_answers = self._counter(
            "ztfm_log_witness_answers_total",
            "Heads that witnesses were shown by what they answered",
            "witness",
            "result",
        )
        self.log_rewritten = self._counter(
            "ztfm_log_rewritten_total", "Times that the log was found not to begin with what was signed"
        )
        self.identity_records = self._counter(
            "ztfm_identity_records_total", "Identity records that count, as they were read of the ledger", "act"
        )
        self.identity_findings = self._counter(
            "ztfm_identity_findings_total", "Differences between the registry and the ledger", "finding"
        )
        self.identity_responses = self._counter(
            "ztfm_identity_responses_total", "Devices that policy gave another status because of a finding", "status"
        )
        self.ledger_lag = self._gauge("ztfm_ledger_lag_seconds", "Since the ledger was last read to its end")
        self.ledger_outbox = self._gauge("ztfm_ledger_outbox", "Identity records that are not final on the ledger yet")
        self.audit_queue_length = self._gauge("ztfm_audit_queue_length", "Decision records waiting for the store")
        self.audit_group_size = self._histogram("ztfm_audit_group_size", "Records per audit commit", BATCH_BUCKETS)

    def _sidecar_metrics(self) -> None:
        self.opa_requests = self._counter("ztfm_opa_requests_total", "Calls to OPA by result", "result")
        self.opa_duration = self._histogram("ztfm_opa_request_duration_seconds", "Calls to OPA", LATENCY_BUCKETS)
        self.opa_batch_size = self._histogram("ztfm_opa_batch_size", "Decisions per call to OPA", BATCH_BUCKETS)
        self.opa_queue_length = self._gauge("ztfm_opa_queue_length", "Decisions waiting for a call to OPA")
        self.opa_circuit_open = self._gauge("ztfm_opa_circuit_open", "1 while calls to OPA are suspended")
        self.sidecar_restarts = self._counter("ztfm_sidecar_restarts_total", "OPA processes that had to be restarted")
        self.policy_info = self._gauge("ztfm_policy_info", "The policy revision that decides", "revision")
        self.policy_activated = self._gauge(
            "ztfm_policy_activated_timestamp_seconds", "When the deciding revision was first seen"
        )

    def _policy_metrics(self) -> None:
        self.policy_published = self._gauge(
            "ztfm_policy_published_timestamp_seconds", "When the release that is to decide was published", "layer"
        )
        self.policy_current = self._gauge(
            "ztfm_policy_current", "1 while the engine decides by the release that is to decide", "layer"
        )
        self.policy_releases = self._counter("ztfm_policy_releases_total", "Releases published here", "layer", "origin")
        self.policy_refused = self._counter("ztfm_policy_refused_total", "Bundles that were not taken", "reason")
        self.policy_engine = self._gauge("ztfm_policy_engine_info", "What evaluates policies", "engine")
        self.shadow_decisions = self._counter(
            "ztfm_shadow_decisions_total", "What a candidate in the shadow decided beside the live policy", "result"
        )
        self.shadow_changes = self._counter(
            "ztfm_shadow_changes_total", "Decisions that the candidate would change, by how", "change"
        )
        self.exceptions_used = self._counter(
            "ztfm_exceptions_used_total",
            "Requirements that exceptions waived where that was needed",
            "action",
            "reason",
        )
        self.exceptions_live = self._gauge("ztfm_exceptions", "Granted exceptions that have not ended")
        self.exceptions_ending = self._gauge(
            "ztfm_exceptions_ending", "Granted exceptions that were used within a day and end within one"
        )
        self.exceptions_age = self._gauge(
            "ztfm_exceptions_age_seconds", "Time since the granted exceptions were read; above 10 s none counts"
        )
        self.masked_fields = self._counter(
            "ztfm_decision_log_masked_total", "Fields that policy kept out of the decision log", "action"
        )
        self.log_terms_failures = self._counter(
            "ztfm_decision_log_terms_failures_total", "Times that policy did not say what the decision log may hold"
        )

    def _behaviour_metrics(self) -> None:
        self.enrolments = self._counter(
            "ztfm_enrolments_total", "Enrolments asked for, by what was shown", "evidence", "outcome"
        )
        self.evidence_refused = self._counter(
            "ztfm_enrolment_evidence_refused_total",
            "Credentials and certificates of newcomers that did not hold",
            "evidence",
            "cause",
        )
        self.quarantines = self._counter("ztfm_quarantines_total", "Subjects that policy set apart", "segment")
        self.trust_score = self._histogram("ztfm_trust_score", "Trust after each observation", SHARE_BUCKETS, "segment")
        self.least_trust = self._gauge(
            "ztfm_least_trust_score", "The lowest trust of subjects that may still ask, by rank", "rank"
        )
        self.behaviour_e_value = self._histogram(
            "ztfm_behaviour_e_value", "Evidence against a subject after each observation", E_VALUE_BUCKETS
        )
        self.update_p_value = self._histogram(
            "ztfm_update_p_value", "Share of comparable peers' updates that deviate as much", P_VALUE_BUCKETS, "segment"
        )
        self.behaviour_transitions = self._counter(
            "ztfm_behaviour_transitions_total", "Changes of where subjects stand", "from_state", "to_state", "segment"
        )
        self.behaviour_subjects = self._gauge("ztfm_behaviour_subjects", "Subjects by where they stand", "state")
        self.behaviour_attributions = self._counter(
            "ztfm_behaviour_attributions_total", "Remarkable observations by the likely attack", "attack"
        )
        self.behaviour_terms_failures = self._counter(
            "ztfm_behaviour_terms_failures_total", "Times that policy did not say how behaviour is judged"
        )
        self.update_distance = self._histogram(
            "ztfm_update_cosine_distance",
            "1 minus the cosine of updates to the reference: 0 along it, 1 across, 2 against",
            COSINE_DISTANCE_BUCKETS,
            "segment",
        )
        self.update_norm_ratio = self._histogram(
            "ztfm_update_norm_ratio", "Norm of updates over the cohort's median", RATIO_BUCKETS, "segment"
        )
        self.rollbacks = self._counter("ztfm_rollbacks_total", "Rollbacks of models by what became of them", "outcome")
        self.rollbacks_waiting = self._gauge("ztfm_rollbacks_waiting", "Rollbacks that are ordered and not done")
        self.rollbacks_waiting_age = self._gauge(
            "ztfm_rollbacks_waiting_age_seconds", "For how long the oldest of them has waited; 0 when there is none"
        )
        self.requests_watched = self._counter(
            "ztfm_requests_watched_total", "Decided requests of devices that were taken note of, or dropped", "result"
        )
        self.behaviour_windows = self._counter(
            "ztfm_behaviour_windows_total",
            "Windows of requests and reported inferences by what became of them",
            "channel",
            "result",
        )
        self.behaviour_score = self._histogram(
            "ztfm_behaviour_score", "How far windows deviate from peers' and from the usual", SCORE_BUCKETS, "channel"
        )
        self.inference_flags = self._counter(
            "ztfm_inference_flags_total", "Queries that gateways flagged in what they reported", "flag"
        )
        self.site_decisions = self._counter(
            "ztfm_site_decisions_total", "Decisions that sites made by themselves and told", "action", "outcome"
        )
        self.site_vetoes = self._counter("ztfm_site_vetoes_total", "Vetoes among them by segment", "segment")
        self.site_told = self._counter(
            "ztfm_site_statements_total", "Statements of sites' decisions by what became of them", "result"
        )
        self.alerts = self._counter("ztfm_alerts_total", "Alerts that asked policy by what became of them", "response")
        self.holds = self._gauge("ztfm_holds", "Holds that last: actions that alerts had denied for a time")
        self.rounds_opened = self._counter("ztfm_rounds_opened_total", "Rounds opened")
        self.updates = self._counter("ztfm_updates_total", "Updates judged", "verdict", "segment")

    def _edge_metrics(self) -> None:
        self.http_requests = self._counter("ztfm_http_requests_total", "HTTP requests", "route", "method", "status")
        self.http_duration = self._histogram(
            "ztfm_http_request_duration_seconds", "HTTP requests", LATENCY_BUCKETS, "route"
        )
        self.oauth_tokens = self._counter("ztfm_oauth_tokens_total", "Tokens of the token endpoint by grant", "grant")
        self.introspections = self._counter("ztfm_introspections_total", "Tokens asked about by answer", "result")
        self.repeats = self._counter(
            "ztfm_idempotent_requests_total", "Requests with an Idempotency-Key by what became of them", "outcome"
        )
        self.authentications = self._counter(
            "ztfm_authentications_total", "Who asks: by what they showed and whether it held", "method", "outcome"
        )
        self.provider_keys = self._counter(
            "ztfm_identity_provider_fetches_total", "Looks for the keys of people's identity provider", "result"
        )
        self.svids_issued = self._counter(
            "ztfm_svids_issued_total", "SPIFFE identity documents issued to workloads", "kind"
        )
        self.tokens_issued = self._counter("ztfm_enrolment_tokens_issued_total", "Enrolment tokens issued over the API")
        self.status_changes = self._counter(
            "ztfm_device_status_changes_total", "Devices' statuses that people and services set", "status"
        )
        self.did_resolutions = self._counter(
            "ztfm_did_resolutions_total", "DIDs that were resolved, by what came of it", "method", "outcome"
        )
        self.workers = self._gauge("ztfm_workers", "Processes that serve")
        self.worker_restarts = self._counter("ztfm_worker_restarts_total", "Workers that ended and were begun again")
        self.ready = self._gauge("ztfm_ready", "1 when every part that a decision needs is there")

    def _revocation_metrics(self) -> None:
        self.revocations = self._counter("ztfm_revocations_total", "What was made void before its time", "kind")
        self.security_events = self._counter("ztfm_security_events_total", "Security events written", "type")
        self.event_listeners = self._gauge("ztfm_event_listeners", "Who follows the security events now")
        self.event_listeners_dropped = self._counter(
            "ztfm_event_listeners_dropped_total", "Listeners that were too slow and were cut off"
        )

    def _initialise(self) -> None:
        for action in PACKAGES:
            self.decision_duration.labels(action)
            for outcome in OUTCOMES:
                self.decisions.labels(action, outcome)
        for layer in LAYERS:
            for origin in get_args(ReleaseOrigin):
                self.policy_releases.labels(layer, origin)
        for kind in ("x509", "jwt"):
            self.svids_issued.labels(kind)
        for reason in get_args(RefusalReason):
            self.policy_refused.labels(reason)
        for result in ("agreed", "disagreed", "failed", "dropped"):
            self.shadow_decisions.labels(result)
        for change in DISAGREEMENTS:
            self.shadow_changes.labels(change)
        for package in PACKAGES:
            self.masked_fields.labels(package)
        for action in ACTIONS:
            self.capabilities_issued.labels(action)
        for kind in SEARCHES:
            self.search_candidates.labels(kind)
        for result in ("ok", "error", "timeout", "unreachable", "malformed"):
            self.opa_requests.labels(result)
        for result in ("written", "failed"):
            self.audit_records.labels(result)
        for shown in get_args(EvidenceKind):
            for outcome in OUTCOMES:
                self.enrolments.labels(shown, outcome)
        for cause in get_args(CredentialCause):
            self.evidence_refused.labels("credential", cause)
        for cause in get_args(CertificateCause):
            self.evidence_refused.labels("certificate", cause)
        for state in STATES:
            self.behaviour_subjects.labels(state)
        for attack in ATTACKS:
            self.behaviour_attributions.labels(attack)
        for result in ("folded", "dropped"):
            self.requests_watched.labels(result)
        for channel in WATCHED:
            self.behaviour_score.labels(channel)
            for result in ("judged", "lost", "passed_over"):
                self.behaviour_windows.labels(channel, result)
        for flag in ("injection", "secret"):
            self.inference_flags.labels(flag)
        for site_action in get_args(SiteActionName):
            for outcome in get_args(SiteOutcome):
                self.site_decisions.labels(site_action, outcome)
        for result in SiteReportsTaken.model_fields:
            self.site_told.labels(result)
        for act in RECORD_ACTS:
            self.identity_records.labels(act)
        for finding in IDENTITY_FINDINGS:
            self.identity_findings.labels(finding)
        for status in ("quarantined", "revoked"):
            self.identity_responses.labels(status)
        for response in get_args(AlertResponse):
            self.alerts.labels(response)
        for outcome in ROLLBACKS:
            self.rollbacks.labels(outcome)
        for kind in REVOKED:
            self.revocations.labels(kind)
        for kind in EVENTS:
            self.security_events.labels(kind)
        for method in METHODS:
            for outcome in ("ok", "refused"):
                self.authentications.labels(method, outcome)
        for result in ("ok", "failed"):
            self.provider_keys.labels(result)
        for method in (*DID_METHODS, OTHER):
            for outcome in DID_OUTCOMES:
                self.did_resolutions.labels(method, outcome)
        for status in ("active", "quarantined", "revoked"):
            self.status_changes.labels(status)
        for grant in GRANTS:
            self.oauth_tokens.labels(grant)
        for result in ("active", "inactive"):
            self.introspections.labels(result)
        for outcome in REPEATS:
            self.repeats.labels(outcome)
        for cause in (*self._causes, OTHER):
            self.capabilities_refused.labels(cause)

    def refused(self, cause: str) -> None:
        """Count a capability or a key proof that did not hold."""
        self.capabilities_refused.labels(cause if cause in self._causes else OTHER).inc()

    def did_resolved(self, method: str, outcome: str) -> None:
        """Count a DID that was resolved, or not; a method that nobody knows here is any other."""
        self.did_resolutions.labels(method if method in DID_METHODS else OTHER, outcome).inc()

    def searched(self, kind: str, candidates: int) -> None:
        """Count a page of a search of a kind (subject, resource, action) and the candidates that it asked of."""
        self.search_candidates.labels(kind).observe(candidates)

    def site_decided(self, decision: SiteDecision, segment: str) -> None:
        """Count a decision of a site in a segment."""
        self.site_decisions.labels(decision.action, decision.outcome).inc()
        if decision.outcome == "veto":
            self.site_vetoes.labels(self.segment(segment)).inc()

    def site_statements(self, taken: SiteReportsTaken) -> None:
        """Count what became of the statements of a report."""
        for result, number in taken.model_dump().items():
            self.site_told.labels(result).inc(number)

    def reason(self, code: str) -> str:
        """Return the label for a policy's reason; policies declare few, and their number is bounded here."""
        return self._reasons(code)

    def segment(self, name: str) -> str:
        """Return the label for a segment."""
        return self._segments(name)

    def policy_revision(self, revision: str, now: float) -> None:
        """Show ``revision`` as the one that decides since ``now`` (Unix seconds)."""
        self.policy_info.clear()
        self.policy_info.labels(revision).set(1)
        self.policy_activated.set(now)

    def least_trusted(self, scores: Sequence[float]) -> None:
        """Show the lowest trust scores, the lowest first; whose they are, metrics do not say."""
        self.least_trust.clear()
        for rank, score in enumerate(scores[:LEAST_TRUSTED], start=1):
            self.least_trust.labels(str(rank)).set(score)

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition and its content type.

        Args:
            accept: what the scraper takes (the header's value); exemplars travel in OpenMetrics alone.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
