"""What is counted of capabilities and tokens, of the keys that sign them, and of what is void."""

from collections.abc import Iterable

from controlplane.telemetry.families import Families
from controlplane.telemetry.labels import ACTIONS, OTHER

GRANTS = ("token_exchange", "client_credentials")
REVOKED = ("capability", "subject", "key")
EVENTS = ("session-revoked", "credential-change", "device-compliance-change")


class CapabilityMetrics:
    """Counts capabilities and tokens, given out and refused.

    Args:
        make: makes families.
        causes: why a capability or a key proof may be refused; others are counted as ``other``.
    """

    def __init__(self, make: Families, causes: Iterable[str]) -> None:
        self._causes = frozenset(causes)
        self.issued = make.counter("ztfm_capabilities_issued_total", "Capabilities minted", "action")
        self._refused = make.counter(
            "ztfm_capabilities_refused_total", "Capabilities and key proofs that did not hold", "cause"
        )
        self.oauth_tokens = make.counter("ztfm_oauth_tokens_total", "Tokens of the token endpoint by grant", "grant")
        self.introspections = make.counter("ztfm_introspections_total", "Tokens asked about by answer", "result")
        self.keys = make.gauge("ztfm_signing_keys", "Signing keys by where they stand", "state")
        self.key_age = make.gauge("ztfm_signing_key_age_seconds", "For how long the key that signs has signed")
        self.key_schedule = make.gauge(
            "ztfm_signing_key_schedule_seconds", "For how long a key signs until the next one does"
        )
        for action in ACTIONS:
            self.issued.labels(action)
        for grant in GRANTS:
            self.oauth_tokens.labels(grant)
        for result in ("active", "inactive"):
            self.introspections.labels(result)
        for cause in (*self._causes, OTHER):
            self._refused.labels(cause)

    def refused(self, cause: str) -> None:
        """Count a capability or a key proof that did not hold."""
        self._refused.labels(cause if cause in self._causes else OTHER).inc()


class RevocationMetrics:
    """Counts what is made void, and those who are told.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.revocations = make.counter("ztfm_revocations_total", "What was made void before its time", "kind")
        self.events = make.counter("ztfm_security_events_total", "Security events written", "type")
        self.listeners = make.gauge("ztfm_event_listeners", "Who follows the security events now")
        self.listeners_dropped = make.counter(
            "ztfm_event_listeners_dropped_total", "Listeners that were too slow and were cut off"
        )
        for kind in REVOKED:
            self.revocations.labels(kind)
        for kind in EVENTS:
            self.events.labels(kind)
