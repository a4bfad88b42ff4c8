"""One full example of every model that crosses a wire, as JSON values."""

from typing import Any

from controlplane.contracts.access import AccessRequest, EvaluationRequest, EvaluationsRequest
from controlplane.contracts.alerts import AlertDelivery, AlertsAnswered
from controlplane.contracts.attachments import (
    AttachmentsFound,
    AttachmentStated,
    DeviceReach,
    ReachFound,
    ServicesQuery,
)
from controlplane.contracts.attestation import AttestationRequest, AttestationResult, Challenge, ChallengeRequest
from controlplane.contracts.attested import DeviceAttestation
from controlplane.contracts.base import LenientModel, StrictModel
from controlplane.contracts.behaviour import BehaviourQuery, BehaviourRecord, BehaviourTerms, Verdict
from controlplane.contracts.budgets import (
    Amounts,
    BudgetLease,
    BudgetsFound,
    BudgetStanding,
    LeaseRequest,
    LeaseTerms,
    LeaseUse,
    SettledLease,
    Settlements,
    SettlementsTaken,
)
from controlplane.contracts.capability import Capability, CapabilityClaims, CapabilityRequest
from controlplane.contracts.changes import Changed
from controlplane.contracts.confidentiality import GroupSum
from controlplane.contracts.console import ConsoleSession, KeptSession, SignInMeans
from controlplane.contracts.content import ContentFindings, ContentReport
from controlplane.contracts.decision import (
    AccessResponse,
    AccessResponses,
    ContentAnswer,
    DecisionRecord,
    DecisionsFound,
    EvaluationsAnswer,
    PolicyDecision,
)
from controlplane.contracts.devices import DeviceChanges, DevicesFound
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.exceptions import (
    ExceptionFact,
    ExceptionRequest,
    ExceptionsFound,
    GrantedException,
)
from controlplane.contracts.facts import FACTS
from controlplane.contracts.facts.enrolment import IssuerQuery, IssuerTerms
from controlplane.contracts.holds import Hold, HoldFact, HoldObligation, HoldsFact, HoldsFound
from controlplane.contracts.identity import (
    CertificateRequest,
    Device,
    Enrolled,
    EnrolmentGrant,
    EnrolmentRequest,
    IssuedCertificate,
    IssuedTokens,
    StatusChange,
    TokensRequest,
)
from controlplane.contracts.judged import DeviceUpdates, RoundDetail, RoundVerdicts
from controlplane.contracts.keys import KeyStanding, KeyStandings, KeyWithdrawal
from controlplane.contracts.log import LogQuery, LogTerms
from controlplane.contracts.models import VersionDetail, VersionRequest, VersionsFound, VersionWithdrawal
from controlplane.contracts.oauth import (
    AuthorizationServerMetadata,
    Introspection,
    OAuthForm,
    OAuthProblem,
    ProtectedResourceMetadata,
    TokenParameter,
    TokenRequest,
    TokenResponse,
)
from controlplane.contracts.policies import PolicyStanding, Release, Releases, RollbackRequest
from controlplane.contracts.privacy import (
    PrivacyAccount,
    PrivacyBudget,
    PrivacyFact,
    PrivacyPlan,
    PrivacyPlans,
    PrivacyQuery,
    PrivacySpending,
    PrivacyStanding,
    PrivacyTerms,
)
from controlplane.contracts.problem import Problem
from controlplane.contracts.rollback import (
    ContributionsFound,
    Rollback,
    RollbackOrder,
    RollbackPreview,
    RollbackResult,
    RollbackScope,
    RollbacksFound,
)
from controlplane.contracts.rounds import Round, RoundRequest, RoundsFound, UpdateReports, UpdateVerdicts
from controlplane.contracts.search import (
    ActionSearch,
    ActionsFound,
    ResourceSearch,
    ResourcesFound,
    SubjectSearch,
    SubjectsFound,
)
from controlplane.contracts.secrets import (
    RegisteredSecret,
    ReleasedSecret,
    ReleaseRequest,
    SecretRequest,
    SecretsFound,
)
from controlplane.contracts.segmentation import Attachment, Cut, Grant, GrantTable, Reach, Service
from controlplane.contracts.shadow import ShadowReport
from controlplane.contracts.signals import InferenceSignals, SignalReports, SignalsTaken
from controlplane.contracts.site import (
    SITE_FACTS,
    SiteAnswer,
    SiteDecision,
    SiteReports,
    SiteReportsTaken,
)
from controlplane.contracts.standing import BehaviourFound, DeviceBehaviour
from controlplane.contracts.svids import IssuedJwtSvid, JwtSvidClaims, JwtSvidRequest
from controlplane.identifiers.documents import DidDocument, Resolution
from controlplane.identifiers.records import SignedRecord
from controlplane.identifiers.shown import IdentityStanding, ShownRecords
from controlplane.transparency.proofs import ConsistencyProof, Leaves, LoggedEntries, LogKeys, RecordProof
from tests.controlplane.contracts.samples_workbench import WORKBENCH

NOW = 1_767_225_600.5
_DIGEST = f"sha256:{'7' * 64}"
_THUMB = "A" * 43
_NETWORK = {"address": "192.0.2.1"}
_SIZE = {"prompt_tokens": 12, "max_output_tokens": 64}
_DIFFERENCE = {"claim": "measurements.pcr7", "seen": "00ff", "wanted": ["ab" * 32]}
_REASON = {
    "code": "trust_sufficient",
    "message": "Too little trust.",
    "remedy": "Take part in more rounds.",
    "differences": [_DIFFERENCE],
}
_EVIDENCE = {
    "update_digest": _DIGEST,
    "parameters": 1_000_000,
    "nonfinite": 0,
    "shapes_match": True,
    "norm": 1.25,
    "norm_ratio": 1.0,
    "cosine": 0.75,
    "reference": "root",
    "sign_agreement": 0.5,
    "duplicates": 0,
    "examples": 128,
    "layer_shares": {"head.weight": 0.75, "head.bias": 0.25},
    "layer_cosines": {"head.weight": 0.5, "head.bias": -0.25},
    "sign_balance": 0.5,
    "twin_cosine": 0.875,
    "centrality": 0.625,
    "innovation": 0.75,
    "replay_cosine": 0.25,
    "seen_before": False,
    "spectral_residual": 0.125,
    "low_frequency": 0.5,
    "subspace_overlap": 0.25,
    "concentration": 0.375,
    "projection_error": 0.0625,
}
_ATTRIBUTION = {
    "features": [{"name": "cosine", "share": 1.0, "value": -0.75, "expected": 0.5}],
    "layers": [{"name": "head.weight", "share": 0.75}],
    "attack": "label_flip",
    "confidence": 0.875,
    "atlas": "AML.T0020",
    "owasp": "LLM04:2025",
    "sentence": "Its cosine to the reference is -0.75 where 0.5 is usual.",
}
_BEHAVIOUR = {
    "state": "watched",
    "state_age_seconds": 3600.5,
    "e_value": 2.5,
    "p_value": 0.25,
    "comparable": 180,
}
_VERDICT = {
    "subject": "dev-a",
    "time": NOW,
    "channel": "updates",
    "round_id": "r1",
    "decision_id": "dec-1",
    "state": "quarantined",
    "was": "watched",
    "p_value": 0.25,
    "e_value": 60.5,
    "trust": 0.25,
    "attribution": _ATTRIBUTION,
}
_RECORD = {
    "state": "watched",
    "since": NOW,
    "wealth": {"updates": {"active": 1.5, "waiting": 0.5, "steps": 7, "conforming": 3, "convicted": 64.5}},
    "conforming": 4.5,
    "deviating": 1.25,
    "observed_at": NOW,
    "version": 3,
}
_TERMS = {
    "heterogeneity": 3.5,
    "levels": [0.005, 0.05],
    "stake": 0.5,
    "hazard": 0.02,
    "hostile_share": 0.25,
    "horizon": 200,
    "forgetting": 0.95,
    "newcomer": 4.5,
    "confidence": 1.645,
    "window": 10,
    "comparable": 3,
    "skew": [0.85],
    "weights": {"updates": 0.5, "access": 0.25, "inference": 0.25},
    "calibration": {"any": [0.0, 0.5, 1.25]},
    "worth": {"updates": 1.0, "access": 0.25, "inference": 0.25},
    "observation_seconds": 60.0,
}
_STANDING = {
    "subject": "dev-a",
    "segment": "homes",
    "status": "quarantined",
    "held": False,
    "state": "quarantined",
    "since": NOW,
    "e_value": 60.5,
    "trust": {"score": 0.25, "observations": 12},
    "observed_at": NOW,
}
_RELEASE_KEY = {"suite": "x25519", "key": "A" * 43}
_ATTESTED = {
    "level": "hardware",
    "reference": "gateways",
    "vector": {
        "instance_identity": "affirming",
        "configuration": "warning",
        "executables": "affirming",
        "file_system": "none",
        "hardware": "affirming",
        "runtime_opaque": "affirming",
        "storage_opaque": "contraindicated",
        "sourced_data": "none",
    },
}
_OBLIGATIONS = {
    "clip_norm_ratio": 2.5,
    "watch": True,
    "max_output_tokens": 64,
    "detail": "label_only",
    "max_bytes": 4096,
    "max_norm": 2.5,
    "epsilon": 0.5,
    "may_assert": ["context.network"],
    "waived": ["attestation_fresh"],
    "exceptions": ["exc-1"],
    "state": "watched",
    "rollback_rounds": 20,
    "hold": {"segment": "homes", "actions": ["gradient_submission"], "seconds": 900.0},
    "release": True,
    "aggregation": "trimmed_mean",
    "attested": _ATTESTED,
    "withdraw_attestation": True,
    "shards": ["adapter", "encoder"],
    "release_to": "tpm",
    "seal": {"level": "hardware", "age_seconds": 900.5, "references": ["aggregators"]},
    "confidentiality": "grouped",
    "group_size": 8,
}
_ATTESTATION_RESULT = {
    "decision_id": "dec-1",
    "kind": "tpm",
    "level": "hardware",
    "reference": "gateways",
    "verified_at": NOW,
    "expires_at": NOW + 3600.0,
    "result": "a.b.c",
}
_PLATFORM_CLAIMS = {
    "kind": "tpm",
    "anchor": "infineon",
    "platform": "00c0ffee",
    "bound": "ab" * 32,
    "debug": False,
    "status": "unstated",
    "measurements": {"pcr7": "cd" * 32},
    "versions": {"firmware0": 7},
    "attributes": {"bank": "sha256"},
    "advisories": ["SA-1"],
    "made_at": NOW,
}
_ROLLBACK = {
    "id": "rb-1",
    "model": "smart-home-intents",
    "round_id": "run-1-7-train-7",
    "subjects": ["dev-a"],
    "reason": "A backdoor was found.",
    "ordered_by": "op-1",
    "ordered_at": NOW,
    "decision_id": "dec-1",
    "state": "done",
    "ended_at": NOW + 60.0,
    "model_digest": _DIGEST,
    "rounds": 3,
    "left_out": 2,
    "fault": "",
}
_ROUND_STANDING = {
    "id": "run-1-7-train-7",
    "model": "smart-home-intents",
    "model_digest": _DIGEST,
    "opened_by": "dev-b",
    "opens_at": NOW,
    "closes_at": NOW + 600.0,
    "state": "open",
    "aggregation": "mean",
    "members": 20,
    "accepted": 16,
    "dropped": 4,
}
_CONTRIBUTION = {
    "round_id": "run-1-7-train-7",
    "subject": "dev-a",
    "update_digest": _DIGEST,
    "decision_id": "dec-1",
    "time": NOW,
}
_JUDGED = {
    "round_id": "run-1-7-train-7",
    "subject": "dev-a",
    "submitted": 1,
    "outcome": "deny",
    "decision_id": "dec-1",
    "time": NOW,
    "reasons": [_REASON],
    "clip_norm_ratio": 1.5,
    "state": "watched",
    "p_value": 0.25,
    "e_value": 2.5,
    "trust": 0.25,
    "evidence": _EVIDENCE,
    "attribution": _ATTRIBUTION,
}
_EXCEPTED = {
    "subject": "dev-a",
    "resource": "smart-home-intents",
    "action": "inference",
    "reason": "The sensor was replaced.",
    "starts_at": NOW,
    "ends_at": NOW + 60,
}
_EXCEPTION_FACT = {**_EXCEPTED, "waives": {"trust_sufficient": True}, "approver": "adm-1"}
_GRANTED = {
    **_EXCEPTED,
    "waives": ["trust_sufficient"],
    "approver": "local:root",
    "id": "exc-1",
    "granted_at": NOW,
    "revoked_at": NOW + 1,
    "revoked_by": "adm-2",
    "uses": 3,
    "last_used_at": NOW + 0.5,
    "state": "revoked",
}
_SUBJECT = {
    "type": "device",
    "id": f"dev-{_THUMB}",
    "properties": {
        "status": "active",
        "roles": ["trainer"],
        "segment": "homes",
        "key_thumbprint": _THUMB,
        "attestation": {"level": "hardware", "age_seconds": 60.5},
        "trust": {"score": 0.75, "observations": 4},
    },
}
_ROUND = {
    "id": "r1",
    "state": "open",
    "model": "smart-home-intents",
    "model_digest": _DIGEST,
    "opens_at": NOW,
    "closes_at": NOW + 60,
    "member": True,
}
_GROUP = {"name": "group-3", "size": 8}
_RESULTS = {"snp": {"level": "hardware", "reference": "aggregators", "age_seconds": 60.5}}
_SUBMISSION_ROUND = {
    **_ROUND,
    "submissions": 0,
    "confidentiality": "tee",
    "aggregator": {"level": "hardware", "age_seconds": 60.5, "results": _RESULTS},
    "strangers": 0,
}
_ANY_CONTEXT = {
    "time": NOW,
    "network": _NETWORK,
    "usage": {"window_seconds": 60.5, "requests": 3, "tokens": 100},
}
_VERSION: dict[str, Any] = {
    "model": "fall-detection",
    "id": "sha256:" + "1" * 64,
    "name": "fall-detection",
    "root": "sha256:" + "2" * 64,
    "signer": "example-lab",
    "signed_as": "CN=release@example.org",
    "tensors": "sha256:" + "3" * 64,
    "files": 1,
    "registered_at": 1763000000.5,
    "registered_by": "dev-1",
    "decision_id": "dec-1",
    "state": "withdrawn",
    "withdrawn_at": 1763000100.5,
    "withdrawn_by": "dev-1",
    "withdrawn_why": "It was trained on the wrong data.",
}
_VERSION_DETAIL = {
    **_VERSION,
    "contents": [{"name": "model.safetensors", "digest": "sha256:" + "4" * 64}],
    "bundle": "{}",
}
_NOISE = {
    "mode": "local",
    "data_set": "falls",
    "clip_norm": 1.0,
    "noise_multiplier": 16.0,
    "sampling": 0.5,
    "delta": 1e-6,
}

_SPENDING = {"mode": "local", "noise_multiplier": 16.0, "sampling": 1.0, "window": 3, "ever": 12}

_ACCOUNT = {
    "scope": "devices",
    "id": "dev-1",
    "data_set": "falls",
    "known": True,
    "budget": {"epsilon": 4.0, "window_days": 30},
    "delta": 1e-6,
    "charges": 12,
    "epsilon_spent": 0.905,
    "epsilon_ever": 1.99,
    "share": 0.226,
    "returns_at": 1_767_225_600.0,
    "spending": [_SPENDING],
}

_HOLD_FACT = {
    "segment": "homes",
    "actions": ["gradient_submission"],
    "alert": "ZtfmPoisoningCampaign",
    "fingerprint": "0f1e2d3c4b5a6978",
    "starts_at": NOW,
    "ends_at": NOW + 900.0,
}
_HOLD = {
    **_HOLD_FACT,
    "id": "hold-5d41402abc4b2a76b9719d911017c592",
    "alert_started_at": NOW - 30.0,
    "decision_id": "dec-1",
    "released_at": NOW + 60.0,
    "released_by": "adm-1",
    "release_reason": "A faulty batch, now fixed.",
    "state": "released",
}
_HOLDS = {"known": True, "current": {"hold-1": _HOLD_FACT}}
_HELD_CONTEXT = {**_ANY_CONTEXT, "holds": _HOLDS}
_MODEL = {"type": "model", "id": "smart-home-intents", "properties": {"digest": _DIGEST}}
_DETAIL = {
    "type": "ztfm",
    "action": "inference",
    "resource_type": "model",
    "resource_id": "smart-home-intents",
    "constraints": {
        "round_id": "r1",
        "model_digest": _DIGEST,
        "purpose": "serving",
        "max_output_tokens": 64,
        "detail": "full",
        "one_time": True,
        "segment": "homes",
        "max_bytes": 4096,
        "max_norm": 2.5,
        "epsilon": 0.5,
        "shards": ["adapter"],
        "sealed_to": _DIGEST,
        "confidentiality": "grouped",
        "group": _DIGEST,
    },
}
_CAPABILITY_FACT = {
    "verified": True,
    "cause": "",
    "uses": 0,
    "round": "r1",
    "model": "smart-home-intents",
    "age_seconds": 1.5,
    "segment": "homes",
    "max_norm": 2.5,
}
_ACCESS = {
    "subject": {"type": "device", "id": "dev-a", "properties": {}},
    "action": {"name": "inference", "properties": {}},
    "resource": _MODEL,
    "context": {
        "purpose": "serving",
        "round_id": "r1",
        "network": _NETWORK,
        "inference": _SIZE,
        "evidence": _EVIDENCE,
        "verification": {"verified": False, "cause": "proof_stale"},
    },
}
_DECISION = {
    "id": "dec-1",
    "time": NOW,
    "action": "inference",
    "subject": "dev-a",
    "resource": "smart-home-intents",
    "outcome": "deny",
    "reasons": [_REASON],
    "obligations": _OBLIGATIONS,
    "rules": ["trust_sufficient"],
    "ttl_seconds": 60.5,
    "policy_revision": "rev-1",
}

RELEASE = {
    "sequence": 7,
    "layer": "base",
    "revision": "4e5d8f7a1b2c.0123456789abcdef",
    "digest": "sha256:" + "7" * 64,
    "key_id": "9nRmZ1yH3-QGg7ZkC2mPj0vV4sUqT8xWbLdEoYhKcIA",
    "origin": "published",
    "published_at": 1764037800.0,
    "published_by": "person-ada",
    "size_bytes": 140169,
}
"""One release, as its samples show it."""

_FINDINGS = {"injection": 0.25, "secrets": 0, "personal": {"email": 1}, "near_duplicate": False, "coverage": 0.125}

_LEASE = {
    "id": "lease-1",
    "subject": "dev-a",
    "model": "fall-detection",
    "segment": "homes",
    "requests": 32,
    "tokens": 32768,
    "seconds": 60.0,
    "expires_at": NOW + 60.0,
    "decision_id": "dec-1",
}

_BUDGET = {
    "scope": "segment",
    "id": "homes",
    "span": "hour",
    "starts_at": NOW,
    "ends_at": NOW + 3600.0,
    "used": {"requests": 812, "tokens": 401220},
    "leased": {"requests": 64, "tokens": 65536},
    "limit": {"requests": 20000, "tokens": 2000000},
}

_SECRET = {
    "id": "fall-detection/adapter",
    "size_bytes": 32,
    "made_here": False,
    "registered_by": "dev-1",
    "registered_at": NOW,
}
_PLACE = {"address": "10.20.2.7", "site": "plant-1", "line": "line-2", "device_class": "camera"}
_TUNNEL = {"wireguard": "A" * 43 + "="}
_ATTACHMENT = {"device": "dev-a", **_PLACE, **_TUNNEL, "recorded_at": NOW}
_SERVICE = {"audience": "aggregator-1", "addresses": ["10.10.0.10"], "protocol": "tcp", "ports": [8443]}
_NETWORK_GRANT = {
    "id": "cap-1",
    "device": "dev-a",
    "source": "10.20.2.7",
    "service": "aggregator",
    "expires_at": NOW + 60,
    "decision": "dec-1",
    **_TUNNEL,
    "segment": "homes",
    "site": "plant-1",
    "device_class": "camera",
}
_CUT = {"device": "dev-b", "address": "10.20.2.8", "reason": "quarantined"}
_REACH = {
    "source": "10.20.2.7",
    "destination": "10.10.0.10",
    "protocol": "tcp",
    "port": 8443,
    "reaches": True,
    "because": "grant cap-1",
    "until": NOW + 60,
}
FACT_SAMPLES: dict[str, dict[str, Any]] = {
    "segmentation": {
        "subject": _SUBJECT,
        "action": {"name": "segmentation"},
        "resource": {"type": "service", "id": "aggregator-1"},
        "context": {
            "time": NOW,
            "action": "gradient_submission",
            "model": "smart-home-intents",
            "attachment": {**_PLACE, "tunnelled": False},
        },
    },
    "content": {
        "subject": _SUBJECT,
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": "fall-detection"},
        "context": {
            "time": NOW,
            "network": _NETWORK,
            "reporter": {"id": "gateway-1", "status": "active", "roles": ["gateway"], "segment": "core"},
            "capability": {"id": "cap-1", "age_seconds": 3.5},
            "direction": "answer",
            "findings": _FINDINGS,
            "holds": {"known": True, "current": {}},
        },
    },
    "budget": {
        "subject": _SUBJECT,
        "action": {"name": "budget"},
        "resource": {"type": "model", "id": "fall-detection"},
        "context": {
            "time": NOW,
            "gateway": "gateway-1",
            "asked": {"requests": 1, "tokens": 600},
            "taken": {
                scope: {"hour": {"requests": 4, "tokens": 900}, "day": {"requests": 40, "tokens": 9000}}
                for scope in ("subject", "model", "segment")
            },
            "leases": 2,
            "holds": {"known": True, "current": {}},
        },
    },
    "key_release": {
        "subject": _SUBJECT,
        "action": {"name": "key_release"},
        "resource": {"type": "secret", "id": "fall-detection/adapter"},
        "context": {
            "time": NOW,
            "network": _NETWORK,
            "purpose": "training",
            "registered": True,
            "results": {
                "tpm": {"level": "hardware", "reference": "gateways", "age_seconds": 60.5, "suite": "x25519"},
            },
            "capability": {
                "verified": True,
                "cause": "",
                "model": "fall-detection",
                "purpose": "training",
                "whole": False,
                "shards": ["adapter"],
                "age_seconds": 3.5,
            },
        },
    },
    "attestation": {
        "subject": _SUBJECT,
        "action": {"name": "attest"},
        "resource": {"type": "platform", "id": "tpm"},
        "context": {
            "time": NOW,
            "network": _NETWORK,
            "challenge": {"valid": True, "age_seconds": 1.5},
            "evidence": {
                "verified": True,
                "cause": "",
                "answers": True,
                "binding": "ab" * 32,
                "platform": "same",
                "claims": _PLATFORM_CLAIMS,
            },
            "platform": {"others": 0},
            "release_key": {"suite": "mlkem768-x25519"},
        },
    },
    "model_access": {
        "subject": _SUBJECT,
        "action": {"name": "model_access"},
        "resource": _MODEL,
        "context": {
            **_HELD_CONTEXT,
            "purpose": "training",
            "round": _ROUND,
            "integrity": {
                "release": {"signer": "example-lab", "registered_at": 1763000000.5},
                "base": {"signer": "example-lab", "registered_at": 1762000000.5},
            },
        },
    },
    "gradient_submission": {
        "subject": _SUBJECT,
        "action": {"name": "gradient_submission"},
        "resource": _MODEL,
        "context": {
            **_HELD_CONTEXT,
            "phase": "admit",
            "group": _GROUP,
            "round": _SUBMISSION_ROUND,
            "capability": _CAPABILITY_FACT,
            "evidence": _EVIDENCE,
            "behaviour": _BEHAVIOUR,
        },
    },
    "inference": {
        "subject": _SUBJECT,
        "action": {"name": "inference"},
        "resource": _MODEL,
        "context": {**_HELD_CONTEXT, "inference": _SIZE, "exceptions": {"exc-1": _EXCEPTION_FACT}},
    },
    "admin": {
        "subject": _SUBJECT,
        "action": {"name": "round:create"},
        "resource": {"type": "round", "id": "r1", "properties": {"owner": "agg-1"}},
        "context": {**_ANY_CONTEXT, "results": _RESULTS},
    },
    "other": {
        "subject": _SUBJECT,
        "action": {"name": "Open the door"},
        "resource": {"type": "door", "id": "/floors/2?door=7"},
        "context": {**_ANY_CONTEXT, "search": "dec-1"},
        "claims": {"subject": {}, "action": {}, "resource": {}, "context": {}},
    },
    "response": {
        "subject": _SUBJECT,
        "action": {"name": "respond"},
        "resource": {"type": "behaviour", "id": "dev-a"},
        "context": {
            "time": NOW,
            "behaviour": {
                **_BEHAVIOUR,
                "channel": "updates",
                "e_values": {"updates": 2.5, "access": 1.0},
                "attack": "label_flip",
                "confidence": 0.875,
                "contributed": 3,
                "conforming": {"updates": 9},
                "convicted": {"access": 64.5},
            },
        },
    },
    "identity": {
        "subject": {"type": "ledger", "id": "log"},
        "action": {"name": "identity"},
        "resource": {"type": "device", "id": "dev-1"},
        "context": {
            "time": NOW,
            "finding": {"kind": "other_key", "together": 1},
            "device": {"status": "active", "roles": ["trainer"], "segment": "homes"},
        },
    },
    "alert": {
        "subject": {"type": "alertmanager", "id": "ztfm-policy"},
        "action": {"name": "alert"},
        "resource": {"type": "alert", "id": "ZtfmPoisoningCampaign"},
        "context": {
            "time": NOW,
            "alert": {
                "name": "ZtfmPoisoningCampaign",
                "severity": "ticket",
                "segment": "homes",
                "status": "resolved",
                "fingerprint": "0f1e2d3c4b5a6978",
                "started_at": NOW - 30.0,
                "ended_at": NOW - 1.0,
            },
            "policy_revision": "rev-1",
            "subjects": {"trusted": 180, "quarantined": 4},
            "holds": _HOLDS,
        },
    },
    "enrolment": {
        "subject": {
            "type": "device",
            "id": f"dev-{_THUMB}",
            "properties": {"roles": ["trainer"], "segment": "homes"},
        },
        "action": {"name": "enrol"},
        "resource": {"type": "federation", "id": "default"},
        "context": {
            "time": NOW,
            "network": _NETWORK,
            "token": {"valid": True, "uses": 0, "expires_at": NOW, "roles": ["trainer"], "segment": "homes"},
            "credential": {
                "valid": False,
                "cause": "expired",
                "issuer": "did:web:issuer.example",
                "vct": "https://issuer.example/device",
                "claims": {"model": "hub-3", "certified": True, "revision": 7, "share": 0.5},
                "key_bound": False,
                "status": "unstated",
                "age_seconds": 86_400.5,
                "expires_at": NOW,
            },
            "certificate": {
                "valid": False,
                "cause": "wrong_key",
                "manufacturer": "example-maker",
                "subject": "2.5.4.5=0042,CN=hub-3",
                "serial": "2a",
                "device": "0042",
                "key_bound": False,
                "expires_at": NOW,
            },
            "attestation": {"level": "software", "age_seconds": 60.5},
            "proof": {"verified": True},
        },
    },
}

_FOUND = {
    "page": {"next_token": "b3BhcXVl", "count": 1},
    "context": {"id": "dec-1", "policy_revision": "rev-1"},
}

_WHOLE = {
    "subject": {"type": "user", "id": "Alice A.", "properties": {"groups": [{"name": "staff"}]}},
    "action": {"name": "open the door", "properties": {"soft": True}},
    "resource": {"type": "https://example.org/Door", "id": "/floors/2?door=7", "properties": {"locks": 2}},
    "context": {"time": "1985-10-26T01:22-07:00", "nothing": None},
}

LENIENT_SAMPLES: list[tuple[type[LenientModel], dict[str, Any]]] = [
    (EvaluationRequest, _WHOLE),
    (
        EvaluationsRequest,
        {**_WHOLE, "evaluations": [{}, _WHOLE], "options": {"evaluations_semantic": "deny_on_first_deny"}},
    ),
    (SubjectSearch, {**_WHOLE, "subject": {"type": "user", "properties": {}}, "page": {"token": "x", "limit": 2}}),
    (ResourceSearch, {**_WHOLE, "resource": {"type": "door", "properties": {}}, "page": {"limit": 0}}),
    (ActionSearch, {name: part for name, part in _WHOLE.items() if name != "action"}),
]
"""Examples of the wire forms of AuthZEN, which ignore what they do not know."""

_SIGNALS = {
    "subject": "dev-a",
    "model": "smart-home-intents",
    "started_at": NOW,
    "seconds": 60.0,
    "queries": 12,
    "prompt_tokens": 96,
    "answer_tokens": 60,
    "distinct": 9,
    "coverage": 0.0625,
    "repeated": 0.25,
    "near_duplicates": 0.25,
    "crowding": 0.03125,
    "injections": 1,
    "secrets": 1,
}

_SITE_SUBJECT = {"type": "device", "id": "dev-a"}

SITE_SAMPLES: dict[str, dict[str, Any]] = {
    "model_in": {
        "subject": _SITE_SUBJECT,
        "action": {"name": "model_in"},
        "resource": {
            "type": "model",
            "id": "smart-home-intents",
            "properties": {"digest": _DIGEST, "size_bytes": 91_000_000},
        },
        "context": {
            "time": NOW,
            "audience": "aggregator-1",
            "purpose": "training",
            "round_id": "run-1-7-train-7",
            "epsilon": {"month": 2.0, "total": 30.5},
        },
    },
    "update_out": {
        "subject": _SITE_SUBJECT,
        "action": {"name": "update_out"},
        "resource": {"type": "model", "id": "smart-home-intents", "properties": {}},
        "context": {
            "time": NOW,
            "audience": "aggregator-1",
            "round_id": "run-1-7-train-7",
            "update": {"digest": _DIGEST, "norm": 1.5, "examples": 120, "epsilon": 1.5},
            "epsilon": {"month": 2.0, "total": 30.5, "month_after": 3.5, "total_after": 32.0},
        },
    },
}

SAMPLES: list[tuple[type[StrictModel], dict[str, Any]]] = [
    *((FACTS[name], sample) for name, sample in FACT_SAMPLES.items()),
    *((SITE_FACTS[name], sample) for name, sample in SITE_SAMPLES.items()),
    (
        SiteAnswer,
        {"required": ["hours_open"], "proven": ["hours_open"], "ttl_seconds": 60.0, "watch": True, "quarantine": False},
    ),
    (
        SiteDecision,
        {
            "sequence": 7,
            "previous": _DIGEST,
            "previous_time": NOW,
            "time": NOW,
            "subject": "dev-a",
            "action": "update_out",
            "outcome": "veto",
            "model": "smart-home-intents",
            "round_id": "run-1-7-train-7",
            "audience": "aggregator-1",
            "reasons": ["hours_open"],
            "policy_digest": _DIGEST,
            "policy_revision": "abc.0123",
            "facts_digest": _DIGEST,
        },
    ),
    (SiteReports, {"statements": ["eyJhbGciOiJFUzI1NiJ9.e30.c2ln"]}),
    (SiteReportsTaken, {"taken": 3, "known": 1, "refused": 0}),
    (AccessRequest, _ACCESS),
    (
        CapabilityRequest,
        {
            "action": "model_access",
            "resource": _MODEL,
            "audience": "aggregator-1",
            "context": {"purpose": "training", "round_id": "r1", "inference": _SIZE},
        },
    ),
    (
        CapabilityClaims,
        {
            "iss": "https://control.example",
            "sub": "dev-a",
            "aud": "aggregator-1",
            "exp": NOW + 60,
            "iat": NOW,
            "jti": "cap-1",
            "client_id": "dev-a",
            "cnf": {"jkt": _THUMB},
            "authorization_details": [_DETAIL],
            "decision_id": "dec-1",
            "policy_revision": "rev-1",
            "status": {"status_list": {"idx": 7, "uri": "https://control.example/v1/status-lists/1"}},
        },
    ),
    (
        Capability,
        {
            "access_token": "a.b.c",
            "token_type": "DPoP",
            "expires_in": 60.5,
            "decision_id": "dec-1",
            "policy_revision": "rev-1",
        },
    ),
    (
        PolicyDecision,
        {
            "allow": False,
            "reasons": [_REASON],
            "obligations": _OBLIGATIONS,
            "rules": ["trust_sufficient"],
            "ttl_seconds": 0.5,
        },
    ),
    (DecisionRecord, {**_DECISION, "seconds": 0.002, "masked": ["/subject/x"], "facts": {"subject": {"id": "dev-a"}}}),
    (LogQuery, {"packages": ["inference", "other"]}),
    (LogTerms, {"names": ["password"], "pointers": ["/context/network/address"], "retention_days": 30.0}),
    (ExceptionFact, _EXCEPTION_FACT),
    (ExceptionRequest, {**_EXCEPTED, "waives": ["trust_sufficient", "window_open"]}),
    (GrantedException, _GRANTED),
    (ExceptionsFound, {"exceptions": [_GRANTED], "next_token": "bm90IGZvciB5b3U"}),
    (VersionRequest, {"bundle": '{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}', "tensors": "{}"}),
    (VersionDetail, _VERSION_DETAIL),
    (VersionsFound, {"versions": [_VERSION]}),
    (VersionWithdrawal, {"reason": "It was trained on the wrong data."}),
    (SecretRequest, {"id": "fall-detection/adapter", "secret": "A" * 43}),
    (RegisteredSecret, _SECRET),
    (SecretsFound, {"secrets": [_SECRET]}),
    (AttachmentStated, {**_PLACE, **_TUNNEL}),
    (Attachment, _ATTACHMENT),
    (AttachmentsFound, {"attachments": [_ATTACHMENT], "after": "dev-a", "known": True}),
    (Service, _SERVICE),
    (ServicesQuery, {"ip_versions": [4, 6]}),
    (Grant, _NETWORK_GRANT),
    (Cut, _CUT),
    (
        GrantTable,
        {
            "revision": "0f" * 32,
            "policy_revision": "rev-1",
            "made_at": NOW,
            "services": {"aggregator": _SERVICE},
            "grants": [_NETWORK_GRANT],
            "cuts": [_CUT],
        },
    ),
    (Reach, _REACH),
    (DeviceReach, {"device": "dev-a", "service": "aggregator", "reach": _REACH}),
    (
        ReachFound,
        {
            "revision": "0f" * 32,
            "reaches": [{"device": "dev-a", "service": "aggregator", "reach": _REACH}],
            "complete": True,
        },
    ),
    (ReleaseRequest, {"purpose": "training", "capability": "a.b.c"}),
    (Amounts, {"requests": 3, "tokens": 1800}),
    (LeaseRequest, {"subject": "dev-a", "model": "fall-detection", "requests": 1, "tokens": 600}),
    (
        LeaseTerms,
        {"requests": 32, "tokens": 32768, "limits": {"subject": {"hour": {"requests": 100, "tokens": 90000}}}},
    ),
    (LeaseUse, {"lease": "lease-1", "requests": 3, "tokens": 1800}),
    (Settlements, {"settlements": [{"lease": "lease-1", "requests": 3, "tokens": 1800}]}),
    (SettledLease, {"lease": "lease-1", "state": "settled"}),
    (SettlementsTaken, {"settled": [{"lease": "lease-1", "state": "known"}]}),
    (BudgetLease, _LEASE),
    (BudgetStanding, _BUDGET),
    (BudgetsFound, {"budgets": [_BUDGET]}),
    (
        ReleasedSecret,
        {
            "secret": "fall-detection/adapter",
            "device": "dev-1",
            "kind": "tpm",
            "suite": "x25519",
            "enc": "A" * 43,
            "ciphertext": "A" * 64,
            "decision_id": "dec-1",
            "policy_revision": "rev-1",
            "expires_at": NOW + 60,
        },
    ),
    (PrivacyTerms, _NOISE),
    (PrivacyBudget, {"epsilon": 4.0, "window_days": 30}),
    (PrivacyPlan, {"terms": _NOISE, "budget": {"epsilon": 4.0, "window_days": 30}}),
    (PrivacyPlans, {"plans": {"fall-detection": {"terms": _NOISE, "budget": {"epsilon": 4.0, "window_days": 30}}}}),
    (PrivacyQuery, {"modes": ["local", "central"]}),
    (
        PrivacyFact,
        {
            "known": True,
            "cause": "",
            "terms": _NOISE,
            "budget": {"epsilon": 4.0, "window_days": 30},
            "charges": 12,
            "epsilon_spent": 1.9,
            "epsilon_after": 1.99,
            "epsilon_alone": 0.504,
            "returns_at": 1_767_225_600.0,
            "round_charged": True,
        },
    ),
    (PrivacySpending, _SPENDING),
    (PrivacyAccount, _ACCOUNT),
    (PrivacyStanding, {"scope": "data-sets", "id": "falls", "accounts": [_ACCOUNT], "devices": 1}),
    (HoldFact, _HOLD_FACT),
    (HoldsFact, _HOLDS),
    (HoldObligation, {"segment": "*", "actions": ["inference"], "seconds": 900.0}),
    (Hold, _HOLD),
    (HoldsFound, {"holds": [_HOLD], "known": True, "most": 64}),
    (
        AlertsAnswered,
        {
            "alerts": [
                {
                    "fingerprint": "0f1e2d3c4b5a6978",
                    "response": "hold",
                    "decision_id": "dec-1",
                    "reasons": [_REASON],
                    "hold": _HOLD,
                }
            ]
        },
    ),
    (DecisionsFound, {"decisions": [_DECISION], "next_token": "bm90IGZvciB5b3U"}),
    (AccessResponse, {"decision": True, "context": {"id": "dec-1"}}),
    (AccessResponses, {"evaluations": [{"decision": False, "context": {}}]}),
    (SubjectsFound, {**_FOUND, "results": [{"type": "user", "id": "alice"}]}),
    (ResourcesFound, {**_FOUND, "results": [{"type": "door", "id": "/floors/2?door=7"}]}),
    (ActionsFound, {**_FOUND, "results": [{"name": "Open the door"}]}),
    (UpdateEvidence, _EVIDENCE),
    (
        Device,
        {
            "id": "dev-a",
            "key": {"kty": "EC", "crv": "P-256", "x": _THUMB, "y": _THUMB},
            "key_thumbprint": _THUMB,
            "roles": ["trainer"],
            "segment": "homes",
            "status": "active",
            "attestation": {"level": "software", "verified_at": NOW},
            "trust": {"score": 0.5, "observations": 1},
            "enrolled_at": NOW,
        },
    ),
    (
        KeptSession,
        {
            "subject": "person-1",
            "person": {
                "id": "person-1",
                "issuer": "https://login.example.org",
                "claims": {"sub": ["248289761001"]},
                "expires_at": NOW + 3600.0,
            },
            "begun_at": NOW,
            "used_at": NOW,
            "idle_seconds": 900.0,
            "ends_at": NOW + 3600.0,
        },
    ),
    (EnrolmentRequest, {"token": "ztfm-enrol-x", "roles": ["trainer"], "segment": "homes"}),
    (EnrolmentRequest, {"credential": "a.b.c~d~e.f.g", "roles": ["trainer"], "segment": "homes"}),
    (EnrolmentRequest, {"certificates": ["MIIB", "MIIC"], "roles": ["trainer"], "segment": "homes"}),
    (IssuerQuery, {"issuer": "did:web:issuer.example"}),
    (IssuerTerms, {"accepted": True}),
    (
        Enrolled,
        {
            "id": "dev-a",
            "key_thumbprint": _THUMB,
            "roles": ["trainer"],
            "segment": "homes",
            "issuer": "https://control.example",
        },
    ),
    (EnrolmentGrant, {"roles": ["trainer"], "segment": "homes", "expires_at": NOW, "uses": 1}),
    (
        Problem,
        {
            "type": "urn:ztfm:problem:invalid-request",
            "title": "The request does not fit",
            "status": 400,
            "detail": "See errors.",
            "errors": [{"pointer": "/subject/id", "detail": "Too long."}],
            "reasons": [_REASON],
            "decision_id": "dec-1",
        },
    ),
    (
        RoundRequest,
        {
            "id": "r1",
            "model": "smart-home-intents",
            "model_digest": _DIGEST,
            "members": ["dev-a", "dev-b"],
            "duration_seconds": 60.5,
        },
    ),
    (
        Round,
        {
            "id": "r1",
            "model": "smart-home-intents",
            "model_digest": _DIGEST,
            "members": ["dev-a"],
            "opened_by": "agg-1",
            "opens_at": NOW,
            "closes_at": NOW + 60,
            "state": "closed",
            "aggregation": "nnm",
            "confidentiality": "grouped",
            "group_size": 8,
            "grouping": "A" * 43,
        },
    ),
    (GroupSum, _GROUP),
    (
        UpdateReports,
        {
            "updates": [
                {
                    "subject": "dev-a",
                    "capability": "a.b.c",
                    "verification": {"verified": True, "cause": ""},
                    "evidence": _EVIDENCE,
                    "group": _GROUP,
                }
            ]
        },
    ),
    (
        UpdateVerdicts,
        {
            "round_id": "r1",
            "verdicts": [
                {
                    "subject": "dev-a",
                    "decision": True,
                    "decision_id": "dec-1",
                    "reasons": [_REASON],
                    "clip_norm_ratio": 2.5,
                    "trust": 0.5,
                    "quarantined": False,
                    "features": ["cosine"],
                    "state": "watched",
                    "p_value": 0.25,
                    "attribution": _ATTRIBUTION,
                }
            ],
            "rollbacks": [_ROLLBACK],
        },
    ),
    (BehaviourQuery, {"channels": ["updates", "access", "inference"]}),
    (BehaviourTerms, _TERMS),
    (BehaviourRecord, _RECORD),
    (Verdict, _VERDICT),
    (BehaviourFound, {"subjects": [_STANDING]}),
    (
        DevicesFound,
        {
            "devices": [
                {
                    "id": "dev-a",
                    "roles": ["trainer"],
                    "segment": "homes",
                    "status": "quarantined",
                    "held": True,
                    "state": "watched",
                    "since": NOW,
                    "trust": {"score": 0.25, "observations": 7},
                    "e_value": 1.5,
                    "observed_at": NOW,
                    "enrolled_at": NOW,
                    "attestation": {"level": "hardware", "verified_at": NOW, "expires_at": NOW + 60.0},
                    "attested": "tpm",
                }
            ],
            "total": 7,
            "next_token": "abc",
        },
    ),
    (
        DeviceChanges,
        {
            "changes": [
                {
                    "at": NOW,
                    "kind": "judged",
                    "device": "dev-a",
                    "what": "From trusted to watched.",
                    "by": "policy",
                    "decision_id": "dec-1",
                }
            ],
            "since": NOW,
        },
    ),
    (Changed, {"at": NOW}),
    (
        DeviceBehaviour,
        {
            **_STANDING,
            "e_values": {"updates": 60.5},
            "conforming": 4.5,
            "deviating": 3.25,
            "verdicts": [_VERDICT],
        },
    ),
    (
        KeyStandings,
        {
            "keys": [
                {
                    "kid": _THUMB,
                    "state": "retired",
                    "created_at": NOW,
                    "signs_from": NOW,
                    "retired_at": NOW,
                    "withdrawn_at": NOW,
                }
            ]
        },
    ),
    (KeyWithdrawal, {"reason": "laptop stolen"}),
    (InferenceSignals, _SIGNALS),
    (SignalReports, {"signals": [_SIGNALS]}),
    (ContentFindings, _FINDINGS),
    (
        ContentReport,
        {
            "subject": "dev-1",
            "model": "fall-detection",
            "capability": "cap-1",
            "issued_at": NOW,
            "direction": "answer",
            "findings": _FINDINGS,
        },
    ),
    (
        ContentAnswer,
        {
            "decision": True,
            "decision_id": "dec-1",
            "policy_revision": "7c1d9e",
            "ttl_seconds": 30.0,
            "reasons": [],
            "obligations": {
                "watch": False,
                "may_assert": [],
                "waived": [],
                "exceptions": [],
                "redact": ["personal"],
                "decimals": 2,
                "watermark": "generated.internal",
            },
        },
    ),
    (SignalsTaken, {"judged": 11, "passed_over": 1}),
]

_BASE = "https://control.example"
_SPIFFE_ID = "spiffe://homes.example/device/dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

_SIGNED = {"statement": "e30.e30.c2ln", "consent": "e30.e30.c2ln"}
_LOG_KEY = "org-a/log+59b5a9b2+AZlsrLXHGmL3QDVBCHjgY0oD5XaHqBo3SZk1ch3VAUX0"
_WITNESS_KEY = "org-b+5dff3e3f+BAw9yRVHZzLQCTVsyJJtNhkZUwhhBD5RfGrTXgBZSCpi"
_ROOT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
_ENTRY = {"commitment": "4" * 64, "id": "dec-1", "kind": "decision", "time_ms": 1_767_225_600_000}

# The first key of the vectors of did:key (w3c-ccg/did-method-key, nist-curves.json).
_DID = "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"
_DID_KEY = f"{_DID}#zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"
_DID_DOCUMENT: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1"],
    "id": _DID,
    "verificationMethod": [
        {
            "id": _DID_KEY,
            "type": "JsonWebKey",
            "controller": _DID,
            "publicKeyJwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": "igrFmi0whuihKnj9R3Om1SoMph72wUGeFaBbzG2vzns",
                "y": "efsX5b10x8yjyrj4ny3pGfLcY7Xby1KzgqOdqnsrJIM",
            },
        }
    ],
    "authentication": [_DID_KEY],
    "assertionMethod": [_DID_KEY],
}

ANSWERS: list[tuple[type[StrictModel], dict[str, Any]]] = [
    (DidDocument, _DID_DOCUMENT),
    (
        Resolution,
        {
            "didDocument": _DID_DOCUMENT,
            "didResolutionMetadata": {
                "contentType": "application/did+json",
                "retrieved": "2026-11-28T09:30:00Z",
                "fromCache": False,
            },
            "didDocumentMetadata": {
                "canonicalId": _DID,
                "equivalentId": [f"dev-{_THUMB}"],
            },
        },
    ),
    (KeyStanding, {"kid": _THUMB, "state": "published", "created_at": NOW, "signs_from": NOW + 300.0}),
    (CertificateRequest, {"lifetime_seconds": 3600.0}),
    (
        ConsoleSession,
        {"subject": f"dev-{_THUMB}", "kind": "device", "name": "administrator", "expires_at": NOW + 3600.0},
    ),
    (SignInMeans, {"url": _BASE, "provider": "https://login.example.org", "bootstrap": False}),
    (JwtSvidRequest, {"audience": ["aggregator-1"], "lifetime_seconds": 300.0}),
    (
        IssuedJwtSvid,
        {"svid": "eyJhbGciOi.eyJzdWIi.c2ln", "spiffe_id": _SPIFFE_ID, "expires_at": NOW + 300.0},
    ),
    (
        JwtSvidClaims,
        {
            "sub": _SPIFFE_ID,
            "aud": ["aggregator-1"],
            "exp": 1_767_225_900,
            "iat": 1_767_225_600,
            "jti": "svid-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        },
    ),
    (
        IssuedCertificate,
        {
            "certificate": "-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n",
            "authority": "-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n",
            "thumbprint": _THUMB,
            "spiffe_id": _SPIFFE_ID,
            "expires_at": NOW + 3600.0,
        },
    ),
    (
        AlertDelivery,
        {
            "version": "4",
            "receiver": "ztfm-policy",
            "status": "firing",
            "groupKey": '{}:{alertname="ZtfmPoisoningCampaign"}',
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "ZtfmPoisoningCampaign", "severity": "ticket", "segment": "homes"},
                    "annotations": {"summary": "4 subjects of segment homes were quarantined in 30 minutes."},
                    "startsAt": "2026-01-01T00:00:00.5Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus:9090/graph",
                    "fingerprint": "0f1e2d3c4b5a6978",
                }
            ],
        },
    ),
    (TokensRequest, {"roles": ["trainer"], "segment": "homes", "hours": 24.0, "count": 2}),
    (
        IssuedTokens,
        {
            "tokens": ["ztfm-enrol-one", "ztfm-enrol-two"],
            "roles": ["trainer"],
            "segment": "homes",
            "expires_at": NOW + 86_400.0,
        },
    ),
    (StatusChange, {"status": "quarantined", "reason": "sends updates that do not fit its data"}),
    (
        Introspection,
        {
            "active": True,
            "token_type": "DPoP",
            "client_id": "dev-a",
            "iss": _BASE,
            "sub": "dev-a",
            "aud": "aggregator-1",
            "exp": int(NOW) + 60,
            "iat": int(NOW),
            "jti": "cap-1",
            "cnf": {"jkt": _THUMB},
            "authorization_details": [_DETAIL],
            "decision_id": "dec-2",
            "policy_revision": "rev-1",
        },
    ),
    (OAuthProblem, {"error": "invalid_request", "error_description": "A parameter is repeated."}),
    (
        TokenResponse,
        {
            "access_token": "a.b.c",
            "token_type": "DPoP",
            "expires_in": 60,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "authorization_details": [_DETAIL],
            "decision_id": "dec-1",
            "policy_revision": "rev-1",
        },
    ),
    (
        AuthorizationServerMetadata,
        {
            "issuer": _BASE,
            "token_endpoint": f"{_BASE}/oauth/token",
            "jwks_uri": f"{_BASE}/.well-known/jwks.json",
            "scopes_supported": ["ztfm:api"],
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
            "introspection_endpoint": f"{_BASE}/oauth/introspect",
            "introspection_endpoint_auth_methods_supported": ["DPoP"],
            "revocation_endpoint": f"{_BASE}/oauth/revoke",
            "revocation_endpoint_auth_methods_supported": ["DPoP"],
            "authorization_details_types_supported": ["ztfm"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "protected_resources": [_BASE],
            "tls_client_certificate_bound_access_tokens": False,
        },
    ),
    (
        ProtectedResourceMetadata,
        {
            "resource": _BASE,
            "authorization_servers": [_BASE],
            "jwks_uri": f"{_BASE}/.well-known/jwks.json",
            "scopes_supported": ["ztfm:api"],
            "bearer_methods_supported": ["header"],
            "resource_name": "ZTFM control plane",
            "dpop_signing_alg_values_supported": ["ES256"],
            "dpop_bound_access_tokens_required": True,
        },
    ),
    (Release, RELEASE),
    (Releases, {"releases": [RELEASE]}),
    (
        PolicyStanding,
        {
            "engine": "opa",
            "revision": RELEASE["revision"],
            "layers": [
                {
                    "layer": "base",
                    "is_expected": True,
                    "release": RELEASE,
                    "active_revision": RELEASE["revision"],
                    "age_seconds": 5400.0,
                    "refusal": {
                        "time": 1764043100.0,
                        "layer": "base",
                        "reason": "fails_tests",
                        "detail": "ztfm/inference/policy_test.rego:12: test: test_trust_is_needed does not hold.",
                    },
                }
            ],
        },
    ),
    (RollbackRequest, {"layer": "base", "revision": RELEASE["revision"]}),
    (
        ShadowReport,
        {
            "shadow": {
                "id": "shadow-1",
                "revision": "4e5d8f7a1b2c.0123456789abcdef",
                "digest": _DIGEST,
                "started_at": NOW,
                "started_by": "dev-1",
                "stopped_at": NOW + 60.0,
            },
            "agreed": 1200,
            "changes": {"newly_denied": 3, "newly_allowed": 0, "other_reasons": 0, "other_terms": 0},
            "failed": 0,
            "dropped": 0,
            "groups": [
                {
                    "change": "newly_denied",
                    "action": "inference",
                    "reason": "trust_sufficient",
                    "segment": "homes",
                    "count": 3,
                    "samples": ["dec-1"],
                }
            ],
        },
    ),
    (RollbackOrder, {"subjects": ["dev-a"], "reason": "A backdoor was found."}),
    (Rollback, _ROLLBACK),
    (RollbacksFound, {"rollbacks": [_ROLLBACK]}),
    (
        RollbackResult,
        {
            "round_id": "run-1-7-train-7",
            "state": "done",
            "model_digest": _DIGEST,
            "rounds": 3,
            "left_out": 2,
            "fault": "",
        },
    ),
    (ContributionsFound, {"contributions": [_CONTRIBUTION]}),
    (RollbackScope, {"subjects": ["dev-a"]}),
    (
        RollbackPreview,
        {
            "round_id": "run-1-7-train-7",
            "model": "smart-home-intents",
            "opened_by": "dev-b",
            "replayed": 1,
            "rounds": ["run-1-7-train-7"],
            "left_out": 1,
            "kept": 7,
        },
    ),
    (RoundVerdicts, {"updates": [_JUDGED], "next_token": "abc"}),
    (DeviceUpdates, {"updates": [_JUDGED]}),
    (
        RoundDetail,
        {
            "round": _ROUND_STANDING,
            "accepted": [_CONTRIBUTION],
            "dropped": [{"subject": "dev-a", "updates": 2}],
        },
    ),
    (RoundsFound, {"rounds": [_ROUND_STANDING]}),
    (EvaluationsAnswer, {"evaluations": [{"decision": False, "context": {"id": "dec-1"}}]}),
    (ChallengeRequest, {"kind": "tpm", "endorsement": {"ek_certificate": "AAAA", "ek": "AAAA", "ak": "AA=="}}),
    (
        Challenge,
        {
            "id": "chal-1",
            "nonce": "A" * 43,
            "expires_at": NOW + 120.0,
            "credential": {"blob": "AAAA", "secret": "AAAA"},
        },
    ),
    (
        AttestationRequest,
        {"challenge": "chal-1", "kind": "tpm", "evidence": {"quote": "AAAA"}, "release_key": _RELEASE_KEY},
    ),
    (AttestationResult, _ATTESTATION_RESULT),
    (
        DeviceAttestation,
        {
            "subject": "dev-1",
            "attestation": {"level": "hardware", "verified_at": NOW, "expires_at": NOW + 3600.0},
            "results": [{**_ATTESTATION_RESULT, "platform": "00c0ffee", "release_key": _RELEASE_KEY}],
        },
    ),
    (LogKeys, {"log": _LOG_KEY, "witnesses": [_WITNESS_KEY], "needed": 1}),
    (Leaves, {"start": 41, "hashes": ["0" * 64]}),
    (ConsistencyProof, {"earlier": 41, "later": 42, "hashes": ["1" * 64]}),
    (LoggedEntries, {"entries": [{"place": 41, "entry": _ENTRY, "is_erased": False}], "size": 42}),
    (SignedRecord, _SIGNED),
    (
        ShownRecords,
        {
            "records": [
                {
                    "number": 3,
                    "place": 41,
                    "time_ms": 1_767_225_600_000,
                    "salt": "2" * 64,
                    "record": _SIGNED,
                    "hashes": ["3" * 64],
                }
            ],
            "total": 4,
            "checkpoint": f"org-a/log\n42\n{_ROOT}\n\n\u2014 org-a/log Zm9vYmFyYmF6\n",
        },
    ),
    (
        IdentityStanding,
        {
            "name": "dev-1",
            "did": "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv",
            "kind": "device",
            "federation": "default",
            "issuer": "did:web:org-a.example",
            "sequence": 1,
            "head": "4" * 64,
            "is_revoked": False,
            "history": [
                {
                    "act": "rotated",
                    "sequence": 1,
                    "hash": "4" * 64,
                    "time_ms": 1_767_225_600_000,
                    "place": 41,
                    "record": _SIGNED,
                }
            ],
        },
    ),
    (
        RecordProof,
        {
            "entry": _ENTRY,
            "place": 41,
            "salt": "2" * 64,
            "record": '{"id":"dec-1"}',
            "hashes": ["3" * 64],
            "checkpoint": f"org-a/log\n42\n{_ROOT}\n\n\u2014 org-a/log Zm9vYmFyYmF6\n",
        },
    ),
    *WORKBENCH,
]
"""Examples of what administration, OAuth and AuthZEN answer with or take."""

FORMS: list[tuple[type[OAuthForm], dict[str, Any]]] = [
    (
        TokenRequest,
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "a.b.c",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "audience": "aggregator-1",
            "authorization_details": '[{"type": "ztfm", "action": "inference", "resource_type": "model", '
            '"resource_id": "smart-home-intents", "inference": {"prompt_tokens": 8, "max_output_tokens": 16}}]',
        },
    ),
    (TokenParameter, {"token": "a.b.c", "token_type_hint": "access_token"}),
]
"""Examples of OAuth's forms, which pass over what they do not know."""
