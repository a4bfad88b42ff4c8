"""What is counted of the records of decisions, and of the log that proves them."""

from controlplane.telemetry.families import BATCH_BUCKETS, Families
from controlplane.telemetry.labels import PACKAGES


class RecordMetrics:
    """Counts records as they are written and masked.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.written = make.counter("ztfm_audit_records_total", "Decision records by result", "result")
        self.queue_length = make.gauge("ztfm_audit_queue_length", "Decision records waiting for the store")
        self.free_bytes = make.gauge("ztfm_state_free_bytes", "Bytes that are free where the state folder is")
        self.group_size = make.histogram("ztfm_audit_group_size", "Records per audit commit", BATCH_BUCKETS)
        self.masked = make.counter(
            "ztfm_decision_log_masked_total", "Fields that policy kept out of the decision log", "action"
        )
        self.terms_failures = make.counter(
            "ztfm_decision_log_terms_failures_total", "Times that policy did not say what the decision log may hold"
        )
        for package in PACKAGES:
            self.masked.labels(package)
        for result in ("written", "failed"):
            self.written.labels(result)


class LogMetrics:
    """Shows how far the transparency log is signed, and by whom.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.entries = make.gauge("ztfm_log_entries", "Entries of the log in its latest signed head")
        self.signed = make.gauge("ztfm_log_checkpoint_timestamp_seconds", "When the latest head of the log was signed")
        self.cosignatures = make.gauge("ztfm_log_cosignatures", "Witnesses that signed the latest head of the log")
        self.witnesses_needed = make.gauge(
            "ztfm_log_witnesses_needed", "Witnesses that must have signed a head for it to be believed"
        )
        self.witness_answers = make.counter(
            "ztfm_log_witness_answers_total",
            "Heads that witnesses were shown by what they answered",
            "witness",
            "result",
        )
        self.rewritten = make.counter(
            "ztfm_log_rewritten_total", "Times that the log was found not to begin with what was signed"
        )
