"""What is counted of models' versions."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter

from controlplane.contracts.models import SignatureCause

REFUSED: tuple[str, ...] = get_args(SignatureCause)
OUTCOMES = ("registered", "known", "denied", "withdrawn")


class ModelMetrics:
    """Counts versions that were told of.

    Args:
        registry: of all metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.versions = Counter(
            "ztfm_model_versions_total", "Versions of models by what became of them", ["outcome"], registry=registry
        )
        self.refused = Counter(
            "ztfm_model_signatures_refused_total",
            "Signatures under models that did not hold",
            ["cause"],
            registry=registry,
        )
        for outcome in OUTCOMES:
            self.versions.labels(outcome)
        for cause in REFUSED:
            self.refused.labels(cause)
