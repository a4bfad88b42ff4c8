"""What is counted at the edge: requests, who makes them, and the processes that serve."""

from controlplane.telemetry.families import LATENCY_BUCKETS, Families

TOKENS = ("metrics_token", "alerts_token")
METHODS = ("proof", "access_token", "certificate", "person", "session", *TOKENS, "none")  # ways to say who one is
REPEATS = ("first", "replayed", "reused", "in_progress", "gone")


class EdgeMetrics:
    """Counts requests, and shows whether they are served.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.requests = make.counter("ztfm_http_requests_total", "HTTP requests", "route", "method", "status")
        self.duration = make.histogram("ztfm_http_request_duration_seconds", "HTTP requests", LATENCY_BUCKETS, "route")
        self.repeats = make.counter(
            "ztfm_idempotent_requests_total", "Requests with an Idempotency-Key by what became of them", "outcome"
        )
        self.authentications = make.counter(
            "ztfm_authentications_total", "Who asks: by what they showed and whether it held", "method", "outcome"
        )
        self.provider_keys = make.counter(
            "ztfm_identity_provider_fetches_total", "Looks for the keys of people's identity provider", "result"
        )
        self.workers = make.gauge("ztfm_workers", "Processes that serve")
        self.worker_restarts = make.counter("ztfm_worker_restarts_total", "Workers that ended and were begun again")
        self.ready = make.gauge("ztfm_ready", "1 when every part that a decision needs is there")
        for method in METHODS:
            for outcome in ("ok", "refused"):
                self.authentications.labels(method, outcome)
        for result in ("ok", "failed"):
            self.provider_keys.labels(result)
        for outcome in REPEATS:
            self.repeats.labels(outcome)
