"""What is counted of newcomers, of identities on their ledger, and of DIDs."""

from typing import get_args

from controlplane.contracts.facts.enrolment import CertificateCause, CredentialCause
from controlplane.contracts.identity import EvidenceKind
from controlplane.identifiers.documents import ERRORS
from controlplane.telemetry.families import Families
from controlplane.telemetry.labels import OTHER, OUTCOMES

RECORD_ACTS = ("registered", "rotated", "revoked")
FINDINGS = ("unrecorded", "other_key", "revoked_elsewhere", "late", "refused_record", "rejected", "ledger_lied")
DID_METHODS = ("key", "web", "ethr")
DID_OUTCOMES = ("resolved", "cached", *ERRORS)


class EnrolmentMetrics:
    """Counts newcomers by what they showed, and what they were given.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.asked = make.counter(
            "ztfm_enrolments_total", "Enrolments asked for, by what was shown", "evidence", "outcome"
        )
        self.evidence_refused = make.counter(
            "ztfm_enrolment_evidence_refused_total",
            "Credentials and certificates of newcomers that did not hold",
            "evidence",
            "cause",
        )
        self.tokens_issued = make.counter("ztfm_enrolment_tokens_issued_total", "Enrolment tokens issued over the API")
        self.svids_issued = make.counter(
            "ztfm_svids_issued_total", "SPIFFE identity documents issued to workloads", "kind"
        )
        self.status_changes = make.counter(
            "ztfm_device_status_changes_total", "Devices' statuses that people and services set", "status"
        )
        for shown in get_args(EvidenceKind):
            for outcome in OUTCOMES:
                self.asked.labels(shown, outcome)
        for cause in get_args(CredentialCause):
            self.evidence_refused.labels("credential", cause)
        for cause in get_args(CertificateCause):
            self.evidence_refused.labels("certificate", cause)
        for kind in ("x509", "jwt"):
            self.svids_issued.labels(kind)
        for status in ("active", "quarantined", "revoked"):
            self.status_changes.labels(status)


class IdentityMetrics:
    """Counts records of identities and what they contradict, and DIDs that were resolved.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.records = make.counter(
            "ztfm_identity_records_total", "Identity records that count, as they were read of the ledger", "act"
        )
        self.findings = make.counter(
            "ztfm_identity_findings_total", "Differences between the registry and the ledger", "finding"
        )
        self.responses = make.counter(
            "ztfm_identity_responses_total", "Devices that policy gave another status because of a finding", "status"
        )
        self.ledger_lag = make.gauge("ztfm_ledger_lag_seconds", "Since the ledger was last read to its end")
        self.ledger_outbox = make.gauge("ztfm_ledger_outbox", "Identity records that are not final on the ledger yet")
        self._resolutions = make.counter(
            "ztfm_did_resolutions_total", "DIDs that were resolved, by what came of it", "method", "outcome"
        )
        for act in RECORD_ACTS:
            self.records.labels(act)
        for finding in FINDINGS:
            self.findings.labels(finding)
        for status in ("quarantined", "revoked"):
            self.responses.labels(status)
        for method in (*DID_METHODS, OTHER):
            for outcome in DID_OUTCOMES:
                self._resolutions.labels(method, outcome)

    def did_resolved(self, method: str, outcome: str) -> None:
        """Count a DID that was resolved, or not; a method that nobody knows here is any other."""
        self._resolutions.labels(method if method in DID_METHODS else OTHER, outcome).inc()
