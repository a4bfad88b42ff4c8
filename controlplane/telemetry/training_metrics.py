"""What is counted of rounds, of the updates in them, and of what is taken out again."""

from controlplane.telemetry.families import Families

COSINE_DISTANCE_BUCKETS = tuple(step / 10 for step in range(0, 21, 2))
RATIO_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
ROLLBACKS = ("ordered", "done", "failed")


class TrainingMetrics:
    """Counts rounds, updates and rollbacks.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.rounds_opened = make.counter("ztfm_rounds_opened_total", "Rounds opened")
        self.updates = make.counter("ztfm_updates_total", "Updates judged", "verdict", "segment")
        self.distance = make.histogram(
            "ztfm_update_cosine_distance",
            "1 minus the cosine of updates to the reference: 0 along it, 1 across, 2 against",
            COSINE_DISTANCE_BUCKETS,
            "segment",
        )
        self.norm_ratio = make.histogram(
            "ztfm_update_norm_ratio", "Norm of updates over the cohort's median", RATIO_BUCKETS, "segment"
        )
        self.rollbacks = make.counter("ztfm_rollbacks_total", "Rollbacks of models by what became of them", "outcome")
        self.rollbacks_waiting = make.gauge("ztfm_rollbacks_waiting", "Rollbacks that are ordered and not done")
        self.rollbacks_waiting_age = make.gauge(
            "ztfm_rollbacks_waiting_age_seconds", "For how long the oldest of them has waited; 0 when there is none"
        )
        for outcome in ROLLBACKS:
            self.rollbacks.labels(outcome)
