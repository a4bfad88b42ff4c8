"""What is counted of behaviour: where subjects stand, and what told so."""

from collections.abc import Sequence
from typing import get_args

from controlplane.contracts.behaviour import Attack, BehaviourState
from controlplane.telemetry.families import Families

SHARE_BUCKETS = tuple(step / 10 for step in range(1, 11))
P_VALUE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
E_VALUE_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1e3, 1e4, 1e5, 1e6)
SCORE_BUCKETS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

STATES: tuple[str, ...] = get_args(BehaviourState)
ATTACKS: tuple[str, ...] = get_args(Attack)
WATCHED = ("access", "inference")
LEAST_TRUSTED = 10


class BehaviourMetrics:
    """Shows where subjects stand.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.quarantines = make.counter("ztfm_quarantines_total", "Subjects that policy set apart", "segment")
        self.trust_score = make.histogram("ztfm_trust_score", "Trust after each observation", SHARE_BUCKETS, "segment")
        self._least_trust = make.gauge(
            "ztfm_least_trust_score", "The lowest trust of subjects that may still ask, by rank", "rank"
        )
        self.e_value = make.histogram(
            "ztfm_behaviour_e_value", "Evidence against a subject after each observation", E_VALUE_BUCKETS
        )
        self.p_value = make.histogram(
            "ztfm_update_p_value", "Share of comparable peers' updates that deviate as much", P_VALUE_BUCKETS, "segment"
        )
        self.transitions = make.counter(
            "ztfm_behaviour_transitions_total", "Changes of where subjects stand", "from_state", "to_state", "segment"
        )
        self.subjects = make.gauge("ztfm_behaviour_subjects", "Subjects by where they stand", "state")
        self.attributions = make.counter(
            "ztfm_behaviour_attributions_total", "Remarkable observations by the likely attack", "attack"
        )
        self.terms_failures = make.counter(
            "ztfm_behaviour_terms_failures_total", "Times that policy did not say how behaviour is judged"
        )
        for state in STATES:
            self.subjects.labels(state)
        for attack in ATTACKS:
            self.attributions.labels(attack)

    def least_trusted(self, scores: Sequence[float]) -> None:
        """Show the lowest trust scores, the lowest first; whose they are, metrics do not say."""
        self._least_trust.clear()
        for rank, score in enumerate(scores[:LEAST_TRUSTED], start=1):
            self._least_trust.labels(str(rank)).set(score)


class WatchMetrics:
    """Counts requests and inferences that are watched.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.requests = make.counter(
            "ztfm_requests_watched_total", "Decided requests of devices that were taken note of, or dropped", "result"
        )
        self.windows = make.counter(
            "ztfm_behaviour_windows_total",
            "Windows of requests and reported inferences by what became of them",
            "channel",
            "result",
        )
        self.score = make.histogram(
            "ztfm_behaviour_score", "How far windows deviate from peers' and from the usual", SCORE_BUCKETS, "channel"
        )
        self.flags = make.counter(
            "ztfm_inference_flags_total", "Queries that gateways flagged in what they reported", "flag"
        )
        for result in ("folded", "dropped"):
            self.requests.labels(result)
        for channel in WATCHED:
            self.score.labels(channel)
            for result in ("judged", "lost", "passed_over"):
                self.windows.labels(channel, result)
        for flag in ("injection", "secret"):
            self.flags.labels(flag)
