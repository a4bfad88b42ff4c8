"""What is counted of policies, and of the engine that decides by them."""

from typing import get_args

from controlplane.contracts.policies import LAYERS, RefusalReason, ReleaseOrigin
from controlplane.contracts.shadow import DISAGREEMENTS
from controlplane.telemetry.families import BATCH_BUCKETS, LATENCY_BUCKETS, Families


class EngineMetrics:
    """Counts calls to what decides.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.requests = make.counter("ztfm_opa_requests_total", "Calls to OPA by result", "result")
        self.duration = make.histogram("ztfm_opa_request_duration_seconds", "Calls to OPA", LATENCY_BUCKETS)
        self.batch_size = make.histogram("ztfm_opa_batch_size", "Decisions per call to OPA", BATCH_BUCKETS)
        self.queue_length = make.gauge("ztfm_opa_queue_length", "Decisions waiting for a call to OPA")
        self.circuit_open = make.gauge("ztfm_opa_circuit_open", "1 while calls to OPA are suspended")
        self.restarts = make.counter("ztfm_sidecar_restarts_total", "OPA processes that had to be restarted")
        for result in ("ok", "error", "timeout", "unreachable", "malformed"):
            self.requests.labels(result)


class PolicyMetrics:
    """Shows which policies decide, and counts those that were released, refused or tried.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self._info = make.gauge("ztfm_policy_info", "The policy revision that decides", "revision")
        self._activated = make.gauge(
            "ztfm_policy_activated_timestamp_seconds", "When the deciding revision was first seen"
        )
        self.published = make.gauge(
            "ztfm_policy_published_timestamp_seconds", "When the release that is to decide was published", "layer"
        )
        self.current = make.gauge(
            "ztfm_policy_current", "1 while the engine decides by the release that is to decide", "layer"
        )
        self.releases = make.counter("ztfm_policy_releases_total", "Releases published here", "layer", "origin")
        self.refused = make.counter("ztfm_policy_refused_total", "Bundles that were not taken", "reason")
        self.engine = make.gauge("ztfm_policy_engine_info", "What evaluates policies", "engine")
        self.shadow_decisions = make.counter(
            "ztfm_shadow_decisions_total", "What a candidate in the shadow decided beside the live policy", "result"
        )
        self.shadow_changes = make.counter(
            "ztfm_shadow_changes_total", "Decisions that the candidate would change, by how", "change"
        )
        for layer in LAYERS:
            for origin in get_args(ReleaseOrigin):
                self.releases.labels(layer, origin)
        for reason in get_args(RefusalReason):
            self.refused.labels(reason)
        for result in ("agreed", "disagreed", "failed", "dropped"):
            self.shadow_decisions.labels(result)
        for change in DISAGREEMENTS:
            self.shadow_changes.labels(change)

    def decides(self, revision: str, now: float) -> None:
        """Show ``revision`` as the one that decides since ``now`` (Unix seconds)."""
        self._info.clear()
        self._info.labels(revision).set(1)
        self._activated.set(now)
