"""What is counted of decisions that sites made by themselves."""

from collections.abc import Callable
from typing import get_args

from controlplane.contracts.site import SiteActionName, SiteDecision, SiteOutcome, SiteReportsTaken
from controlplane.telemetry.families import Families


class SiteMetrics:
    """Counts what sites told.

    Args:
        make: makes families.
        segment: returns the label for a segment.
    """

    def __init__(self, make: Families, segment: Callable[[str], str]) -> None:
        self._segment = segment
        self._decisions = make.counter(
            "ztfm_site_decisions_total", "Decisions that sites made by themselves and told", "action", "outcome"
        )
        self._vetoes = make.counter("ztfm_site_vetoes_total", "Vetoes among them by segment", "segment")
        self._told = make.counter(
            "ztfm_site_statements_total", "Statements of sites' decisions by what became of them", "result"
        )
        for action in get_args(SiteActionName):
            for outcome in get_args(SiteOutcome):
                self._decisions.labels(action, outcome)
        for result in SiteReportsTaken.model_fields:
            self._told.labels(result)

    def site_decided(self, decision: SiteDecision, segment: str) -> None:
        """Count a decision of a site in a segment."""
        self._decisions.labels(decision.action, decision.outcome).inc()
        if decision.outcome == "veto":
            self._vetoes.labels(self._segment(segment)).inc()

    def site_statements(self, taken: SiteReportsTaken) -> None:
        """Count what became of the statements of a report."""
        for result, number in taken.model_dump().items():
            self._told.labels(result).inc(number)
