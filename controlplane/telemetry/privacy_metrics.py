"""Metrics of privacy budgets. No device is named, and of models and data sets the first 64 alone."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SHARE_BUCKETS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
CAUSES = ("plans_unknown", "accountant_missing", "accountant_failed")
MAX_MODELS = 64
OTHER = "other"


class PrivacyMetrics:
    """What is spent of budgets.

    Args:
        registry: that exposes them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._known: set[str] = set()
        self.charges = Counter(
            "ztfm_privacy_charges_total",
            "Submissions and rounds that a privacy budget was charged for",
            ["model"],
            registry=registry,
        )
        self.share = Histogram(
            "ztfm_privacy_spent_share",
            "Share of the budget that is spent after each charge",
            ["model"],
            buckets=SHARE_BUCKETS,
            registry=registry,
        )
        self.denials = Counter(
            "ztfm_privacy_denials_total",
            "Submissions and rounds that were denied because a privacy budget had no room",
            ["model"],
            registry=registry,
        )
        self.unknown = Counter(
            "ztfm_privacy_unknown_total",
            "Times that it was not known what noise would cost, so that models with a plan were denied",
            ["cause"],
            registry=registry,
        )
        self.fullest = Gauge(
            "ztfm_privacy_fullest_share",
            "Share of the budget that the fullest account of a data set has spent",
            ["data_set"],
            registry=registry,
        )
        for cause in CAUSES:
            self.unknown.labels(cause)
        for family in (self.charges, self.share, self.denials):
            family.labels(OTHER)

    def privacy_charged(self, model: str, share: float) -> None:
        """Count a charge for a model that left this share of the budget spent."""
        label = self._label(model)
        self.charges.labels(label).inc()
        self.share.labels(label).observe(share)

    def privacy_denied(self, model: str) -> None:
        """Count a denial for a model because a budget had no room for one more."""
        self.denials.labels(self._label(model)).inc()

    def privacy_unknown(self, cause: str) -> None:
        """Count that it was not known what something would cost."""
        self.unknown.labels(cause if cause in CAUSES else OTHER).inc()

    def privacy_fullest(self, data_set: str, share: float) -> None:
        """Show how full the fullest account of a data set is."""
        self.fullest.labels(self._label(data_set)).set(share)

    def _label(self, name: str) -> str:
        if name in self._known or len(self._known) < MAX_MODELS:
            self._known.add(name)
            return name
        return OTHER


class Unobserved:
    """Stands for the metrics where nobody looks at any, as on a command line."""

    def privacy_charged(self, model: str, share: float) -> None:
        """Count nothing."""

    def privacy_denied(self, model: str) -> None:
        """Count nothing."""

    def privacy_unknown(self, cause: str) -> None:
        """Count nothing."""
