"""What is counted of decisions on prompts and answers. Subjects, models and gateways are in no label."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter

from controlplane.contracts.content import ContentDirection
from controlplane.contracts.decision import Decision, Obligations

DIRECTIONS: tuple[ContentDirection, ...] = get_args(ContentDirection)
OUTCOMES = ("passed", "changed", "step_up", "denied", "error")

OBLIGATIONS = (
    "redact",
    "decimals",
    "suppress",
    "watermark",
    "requests_per_minute",
    "max_output_tokens",
    "detail",
    "step_up_seconds",
)
"""What may be asked for, by the word in the obligations."""

_HARMLESS = frozenset({"watermark"})


class ContentMetrics:
    """Counts what becomes of prompts and answers.

    Args:
        registry: of all metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "ztfm_content_decisions_total",
            "Prompts and answers that gateways asked about, by what became of them",
            ["direction", "outcome"],
            registry=registry,
        )
        self.obligations = Counter(
            "ztfm_content_obligations_total",
            "What gateways were told to do with prompts and answers",
            ["direction", "obligation"],
            registry=registry,
        )
        for direction in DIRECTIONS:
            for outcome in OUTCOMES:
                self.decisions.labels(direction, outcome)
            for obligation in OBLIGATIONS:
                self.obligations.labels(direction, obligation)

    def decided(self, direction: ContentDirection, decision: Decision) -> None:
        """Count a decision and what comes with it."""
        wanted = [name for name in OBLIGATIONS if _is_wanted(decision.obligations, name)]
        self.decisions.labels(direction, _outcome(decision, wanted)).inc()
        for name in wanted:
            self.obligations.labels(direction, name).inc()


def _is_wanted(obligations: Obligations, name: str) -> bool:
    return getattr(obligations, name) is not None


def _outcome(decision: Decision, wanted: list[str]) -> str:
    if decision.outcome == "error":
        return "error"
    if not decision.allowed:
        return "step_up" if "step_up_seconds" in wanted else "denied"
    return "changed" if set(wanted) - _HARMLESS else "passed"
