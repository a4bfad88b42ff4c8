"""One full example of what the policy workbench takes and answers, and of an explained decision."""

from typing import Any

from controlplane.contracts.base import StrictModel
from controlplane.contracts.explanation import DecisionExplanation
from controlplane.contracts.workbench import (
    CheckedDraft,
    CheckRequest,
    DraftBundle,
    EvaluatedDraft,
    EvaluateRequest,
    PolicyDraft,
    PolicySources,
    ReplayedDraft,
    ReplayRequest,
    ShadowedDraft,
    SignedDraft,
    TestedDraft,
)

_ID = "dec-019a7b0c1d2e3f405162738495a6b7c8"
_REVISION = "4e5d8f7a1b2c.0123456789abcdef"
_PATH = "ztfm/inference/policy.rego"
_FILES = {_PATH: "package ztfm.inference\n", "ztfm/inference/old.rego": None}
_DRAFT = {"files": _FILES, "layer": "base", "revision": _REVISION}
_TOKEN = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"

_RECORD = {
    "id": _ID,
    "time": 1_767_225_600.5,
    "action": "inference",
    "subject": "dev-a",
    "resource": "smart-home-intents",
    "outcome": "deny",
    "reasons": [
        {
            "code": "trust_sufficient",
            "message": "The subject is trusted too little.",
            "remedy": "Wait until its trust has recovered.",
        }
    ],
    "obligations": {},
    "rules": ["subject_active", "trust_sufficient"],
    "ttl_seconds": 0.0,
    "policy_revision": _REVISION,
    "seconds": 0.002,
    "masked": [],
    "facts": {"subject": {"id": "dev-a", "properties": {"trust": {"score": 0.3}}}},
}

_REQUIREMENT = {
    "code": "trust_sufficient",
    "held": False,
    "waived": False,
    "message": "The subject is trusted too little.",
    "remedy": "Wait until its trust has recovered.",
    "differences": [],
    "file": "ztfm/lib/subject/subject.rego",
    "line": 31,
    "conditions": [
        {
            "file": "ztfm/lib/subject/subject.rego",
            "line": 33,
            "text": "score >= limits.trust_minimum",
            "values": {"score": 0.3, "data.data.limits.trust_minimum": 0.5},
        }
    ],
}

_NOW = {"allow": False, "missing": ["trust_sufficient"]}

_FINDING = {
    "path": _PATH,
    "line": 12,
    "column": 7,
    "severity": "error",
    "code": "compile",
    "message": "var y is unsafe",
    "remedy": "Give the variable a value in a line that is not negated: bind it with := or some.",
}

WORKBENCH: list[tuple[type[StrictModel], dict[str, Any]]] = [
    (
        PolicySources,
        {
            "layer": "base",
            "revision": _REVISION,
            "origin": "release",
            "files": [{"path": _PATH, "text": "package ztfm.inference\n"}],
        },
    ),
    (PolicyDraft, _DRAFT),
    (CheckRequest, {**_DRAFT, "checks": ["compile", "format"]}),
    (CheckedDraft, {"findings": [_FINDING], "skipped": {"examples": "the policies do not compile"}, "left_out": 0}),
    (
        TestedDraft,
        {
            "passed": 526,
            "failed": 0,
            "examples": 149,
            "tests": [
                {
                    "package": "ztfm.inference_test",
                    "name": "test_a_consumer_asks",
                    "path": "ztfm/inference/policy_test.rego",
                    "line": 9,
                    "outcome": "passed",
                    "seconds": 0.004,
                    "message": "",
                }
            ],
            "coverage": {_PATH: {"covered": [[8, 21], [23, 40]], "not_covered": [[22, 22]]}},
            "shares": {"ztfm/inference": 0.97},
            "findings": [],
            "left_out": 0,
        },
    ),
    (EvaluateRequest, {"files": _FILES, "revision": _REVISION, "decision": _ID}),
    (EvaluatedDraft, {"now": _NOW, "requirements": [_REQUIREMENT], "masked_and_read": [], "recorded": _RECORD}),
    (ReplayRequest, {"files": _FILES, "revision": _REVISION, "since_seconds": 604_800.0, "limit": 10_000}),
    (
        ReplayedDraft,
        {
            "revision": "nogit.fedcba9876543210",
            "asked": 9000,
            "decided": 8990,
            "same": 8950,
            "unsure": 8,
            "not_decided": 2,
            "failed": 0,
            "totals": {"newly_denied": 40},
            "changes": [
                {
                    "change": "newly_denied",
                    "action": "inference",
                    "reason": "trust_sufficient",
                    "segment": "homes",
                    "count": 40,
                    "subjects": 3,
                    "examples": [_ID],
                }
            ],
        },
    ),
    (
        DraftBundle,
        {
            "layer": "base",
            "revision": "nogit.fedcba9876543210",
            "key_ids": ["9nRmZ1yH3-QGg7ZkC2mPj0vV4sUqT8xWbLdEoYhKcIA"],
            "claims": "eyJmaWxlcyI6W119",
            "bundle": "H4sIAAAAAAAA",
            "embedded": True,
        },
    ),
    (SignedDraft, {**_DRAFT, "token": _TOKEN}),
    (ShadowedDraft, {**_DRAFT, "token": _TOKEN}),
    (
        DecisionExplanation,
        {
            "decision": _RECORD,
            "policies_revision": _REVISION,
            "policies_are_those_that_decided": True,
            "policies_from": "release",
            "requirements": [_REQUIREMENT],
            "again": _NOW,
            "masked_and_read": [],
            "nearest": {
                "alternatives": [[{"path": "subject.properties.trust.score", "was": 0.3, "becomes": 0.5}]],
                "asked": 214,
                "is_complete": True,
            },
        },
    ),
]
"""Examples, by the contract that each is of."""
