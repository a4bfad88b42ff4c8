"""What is counted of limits that replicas share. Callers and subjects are in no label."""

from prometheus_client import CollectorRegistry, Counter, Histogram

ABOUT = ("proofs", "rates", "charges", "usage", "unused")
OUTCOMES = ("answered", "failed")


class SharingMetrics:
    """Counts what the store was asked about limits that replicas share. It is asked in groups.

    Args:
        registry: of all metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.questions = Counter(
            "ztfm_shared_limit_questions_total",
            "Questions to the store about limits that replicas share; none where they are counted on each machine",
            ["about", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "ztfm_shared_limit_seconds",
            "Time in which the store answers a group of them",
            ["about"],
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0),
        )
        for about in ABOUT:
            self.seconds.labels(about)
            for outcome in OUTCOMES:
                self.questions.labels(about, outcome)

    def asked(self, about: str, questions: int, seconds: float, *, is_answered: bool) -> None:
        """So many questions went into one statement, which took so long, or failed."""
        self.questions.labels(about, "answered" if is_answered else "failed").inc(questions)
        self.seconds.labels(about).observe(seconds)
