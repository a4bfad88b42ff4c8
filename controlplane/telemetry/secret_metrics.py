"""What is counted of secrets that are released to attested platforms. Names and devices are in no label."""

from prometheus_client import CollectorRegistry, Counter

RELEASES = ("released", "denied", "unsealable", "limited", "error")
CHANGES = ("registered", "withdrawn")


class SecretMetrics:
    """Counts what became of secrets, and of requests for them.

    Args:
        registry: of all metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.releases = Counter(
            "ztfm_secret_releases_total", "Requests for secrets by what became of them", ["outcome"], registry=registry
        )
        self.changes = Counter(
            "ztfm_secret_changes_total", "Secrets that began or ceased to be kept", ["change"], registry=registry
        )
        for outcome in RELEASES:
            self.releases.labels(outcome)
        for change in CHANGES:
            self.changes.labels(change)
