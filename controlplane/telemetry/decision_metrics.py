"""What is counted of decisions, of searches, and of what changes decisions for a time: exceptions and holds."""

from typing import get_args

from prometheus_client import Counter

from controlplane.contracts.alerts import AlertResponse
from controlplane.telemetry.families import BATCH_BUCKETS, LATENCY_BUCKETS, Families
from controlplane.telemetry.labels import OUTCOMES, PACKAGES, LatestRevisions

SEARCHES = ("subject", "resource", "action")


class DecisionMetrics:
    """Counts decisions by what was asked of policy.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.given = make.counter("ztfm_decisions_total", "Decisions given", "action", "outcome")
        self.reasons = make.counter(
            "ztfm_decision_reasons_total", "Requirements that were missing in denied decisions", "action", "reason"
        )
        self.by_revision = LatestRevisions(
            Counter(
                "ztfm_policy_decisions_total",
                "Decisions by the policy revision that gave them; the latest revisions are shown",
                ("revision", "outcome"),
                registry=make.registry,
            )
        )
        self.duration = make.histogram(
            "ztfm_decision_duration_seconds", "From gathered facts to a recorded decision", LATENCY_BUCKETS, "action"
        )
        self._candidates = make.histogram(
            "ztfm_search_candidates", "Candidates that a page of a search asked of", BATCH_BUCKETS, "kind"
        )
        for action in PACKAGES:
            self.duration.labels(action)
            for outcome in OUTCOMES:
                self.given.labels(action, outcome)
        for kind in SEARCHES:
            self._candidates.labels(kind)

    def searched(self, kind: str, candidates: int) -> None:
        """Count a page of a search of a kind (subject, resource, action) and the candidates that it asked of."""
        self._candidates.labels(kind).observe(candidates)


class InterventionMetrics:
    """Counts what exceptions waived and what alerts had held.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.exceptions_used = make.counter(
            "ztfm_exceptions_used_total",
            "Requirements that exceptions waived where that was needed",
            "action",
            "reason",
        )
        self.exceptions = make.gauge("ztfm_exceptions", "Granted exceptions that have not ended")
        self.exceptions_ending = make.gauge(
            "ztfm_exceptions_ending", "Granted exceptions that were used within a day and end within one"
        )
        self.exceptions_age = make.gauge(
            "ztfm_exceptions_age_seconds", "Time since the granted exceptions were read; above 10 s none counts"
        )
        self.alerts = make.counter("ztfm_alerts_total", "Alerts that asked policy by what became of them", "response")
        self.holds = make.gauge("ztfm_holds", "Holds that last: actions that alerts had denied for a time")
        for response in get_args(AlertResponse):
            self.alerts.labels(response)
