"""One full example of every model that crosses a wire, as JSON values."""

from typing import Any

from controlplane.contracts.access import AccessRequest, AccessRequests
from controlplane.contracts.base import StrictModel
from controlplane.contracts.capability import Capability, CapabilityClaims, CapabilityRequest
from controlplane.contracts.decision import AccessResponse, AccessResponses, DecisionRecord, PolicyDecision
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.facts import FACTS
from controlplane.contracts.identity import Device, Enrolled, EnrolmentGrant, EnrolmentRequest
from controlplane.contracts.problem import Problem
from controlplane.contracts.rounds import Round, RoundRequest, UpdateReports, UpdateVerdicts

NOW = 1_767_225_600.5
_DIGEST = f"sha256:{'7' * 64}"
_THUMB = "A" * 43
_NETWORK = {"address": "192.0.2.1"}
_SIZE = {"prompt_tokens": 12, "max_output_tokens": 64}
_REASON = {"code": "trust_sufficient", "message": "Too little trust.", "remedy": "Take part in more rounds."}
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
}
_OBLIGATIONS = {
    "clip_norm_ratio": 2.5,
    "quarantine": False,
    "watch": True,
    "max_output_tokens": 64,
    "detail": "label_only",
    "may_assert": ["context.network"],
    "waived": ["attestation_fresh"],
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
_SUBMISSION_ROUND = {**_ROUND, "submissions": 0}
_ANY_CONTEXT = {
    "time": NOW,
    "network": _NETWORK,
    "usage": {"window_seconds": 60.5, "requests": 3, "tokens": 100},
}
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
    },
}
_CAPABILITY_FACT = {
    "verified": True,
    "cause": "",
    "uses": 0,
    "round": "r1",
    "model": "smart-home-intents",
    "age_seconds": 1.5,
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

FACT_SAMPLES: dict[str, dict[str, Any]] = {
    "model_access": {
        "subject": _SUBJECT,
        "action": {"name": "model_access"},
        "resource": _MODEL,
        "context": {**_ANY_CONTEXT, "purpose": "training", "round": _ROUND},
    },
    "gradient_submission": {
        "subject": _SUBJECT,
        "action": {"name": "gradient_submission"},
        "resource": _MODEL,
        "context": {
            **_ANY_CONTEXT,
            "phase": "admit",
            "round": _SUBMISSION_ROUND,
            "capability": _CAPABILITY_FACT,
            "evidence": _EVIDENCE,
        },
    },
    "inference": {
        "subject": _SUBJECT,
        "action": {"name": "inference"},
        "resource": _MODEL,
        "context": {**_ANY_CONTEXT, "inference": _SIZE},
    },
    "admin": {
        "subject": _SUBJECT,
        "action": {"name": "round:create"},
        "resource": {"type": "round", "id": "r1", "properties": {"owner": "agg-1"}},
        "context": _ANY_CONTEXT,
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
            "proof": {"verified": True},
        },
    },
}

SAMPLES: list[tuple[type[StrictModel], dict[str, Any]]] = [
    *((FACTS[name], sample) for name, sample in FACT_SAMPLES.items()),
    (AccessRequest, _ACCESS),
    (
        AccessRequests,
        {
            "subject": _ACCESS["subject"],
            "evaluations": [{"action": {"name": "inference"}, "resource": _MODEL}],
            "options": {"evaluations_semantic": "execute_all"},
        },
    ),
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
    (DecisionRecord, {**_DECISION, "facts": {"subject": {"id": "dev-a"}}}),
    (AccessResponse, {"decision": True, "context": {"id": "dec-1"}}),
    (AccessResponses, {"evaluations": [{"decision": False, "context": {}}]}),
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
    (EnrolmentRequest, {"token": "ztfm-enrol-x", "roles": ["trainer"], "segment": "homes"}),
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
            "type": "https://ztfm.dev/problems/malformed",
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
        },
    ),
    (
        UpdateReports,
        {
            "updates": [
                {
                    "subject": "dev-a",
                    "capability": "a.b.c",
                    "verification": {"verified": True, "cause": ""},
                    "evidence": _EVIDENCE,
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
                }
            ],
        },
    ),
]
