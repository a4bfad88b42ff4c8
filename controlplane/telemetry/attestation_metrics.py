"""What is counted of challenges, of evidence, and of what devices have proven."""

from collections.abc import Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controlplane.contracts.attestation import EvidenceCause

KINDS = ("azure", "eat", "nitro", "nvidia", "sgx", "snp", "tdx", "tpm")
OTHER = "other"
CAUSES: tuple[EvidenceCause, ...] = get_args(EvidenceCause)
OUTCOMES = ("accepted", "denied", "contradicted", "undecided")
LEVELS = ("software", "hardware")
VERIFY_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Outcome = Literal["accepted", "denied", "contradicted", "undecided"]


class AttestationMetrics:
    """Counts evidence, and what was made of it. Kinds that others bring are counted as ``other``.

    Args:
        registry: of all metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._challenges = Counter(
            "ztfm_attestation_challenges_total", "Challenges that were made", ["kind"], registry=registry
        )
        self._attestations = Counter(
            "ztfm_attestations_total", "Evidence by what policy made of it", ["kind", "outcome"], registry=registry
        )
        self._refused = Counter(
            "ztfm_attestation_evidence_refused_total",
            "Evidence that did not verify, or was not looked at",
            ["kind", "cause"],
            registry=registry,
        )
        self._seconds = Histogram(
            "ztfm_attestation_verify_seconds",
            "Time to verify evidence",
            ["kind"],
            registry=registry,
            buckets=VERIFY_BUCKETS,
        )
        self._devices = Gauge(
            "ztfm_attested_devices",
            "Devices that proved a level, by whether the proof counts now or has lapsed",
            ["level", "state"],
            registry=registry,
        )
        self._oldest = Gauge(
            "ztfm_attestation_oldest_age_seconds", "Age of the oldest proof that counts", ["level"], registry=registry
        )
        self._initialise()

    def challenged(self, kind: str) -> None:
        """A challenge was made."""
        self._challenges.labels(_known(kind)).inc()

    def evidence_refused(self, kind: str, cause: EvidenceCause) -> None:
        """Evidence did not verify."""
        self._refused.labels(_known(kind), cause).inc()

    def evidence_verified(self, kind: str, seconds: float) -> None:
        """Evidence was verified within so many seconds."""
        self._seconds.labels(_known(kind)).observe(seconds)

    def attested(self, kind: str, outcome: Outcome) -> None:
        """Policy said what is made of evidence, or could not be asked."""
        self._attestations.labels(_known(kind), outcome).inc()

    def proven(self, counts: Mapping[str, tuple[int, int, float]]) -> None:
        """Show how many devices have proven what.

        Args:
            counts: by level, those whose proof counts, those whose proof has lapsed, and the age of the oldest that
                counts, in seconds.
        """
        for level in LEVELS:
            current, lapsed, age = counts.get(level, (0, 0, 0.0))
            self._devices.labels(level, "current").set(current)
            self._devices.labels(level, "lapsed").set(lapsed)
            self._oldest.labels(level).set(age)

    def _initialise(self) -> None:
        for kind in (*KINDS, OTHER):
            self._challenges.labels(kind)
            for outcome in OUTCOMES:
                self._attestations.labels(kind, outcome)
            for cause in CAUSES:
                self._refused.labels(kind, cause)
            self._seconds.labels(kind)
        self.proven({})


def _known(kind: str) -> str:
    return kind if kind in KINDS else OTHER
