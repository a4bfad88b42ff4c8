from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.capability import Capability
from controlplane.contracts.decision import Decision, Obligations, PolicyDecision
from controlplane.contracts.evidence import MAX_LAYERS, UpdateEvidence
from controlplane.contracts.rounds import MAX_MEMBERS, MAX_UPDATES, RoundRequest, UpdateReports
from tests.controlplane.contracts.samples import SAMPLES

_BY_MODEL = dict(SAMPLES)


@pytest.mark.parametrize(
    "change",
    [
        {"members": []},
        {"members": ["dev-a", "dev-b", "dev-a"]},
        {"members": [f"dev-{number}" for number in range(MAX_MEMBERS + 1)]},
        {"duration_seconds": 0},
        {"duration_seconds": 86_401},
        {"model_digest": "latest"},
        {"opened_by": "agg-1"},
    ],
)
def test_a_round_is_bounded_and_names_each_member_once(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RoundRequest.model_validate({**_BY_MODEL[RoundRequest], **change})


def test_the_largest_round_is_a_round() -> None:
    members = [f"dev-{number}" for number in range(MAX_MEMBERS)]
    assert RoundRequest.model_validate({**_BY_MODEL[RoundRequest], "members": members}).members == members


@pytest.mark.parametrize("count", [0, MAX_UPDATES + 1])
def test_a_report_has_one_update_to_a_thousand(count: int) -> None:
    [update] = _BY_MODEL[UpdateReports]["updates"]
    assert len(UpdateReports.model_validate({"updates": [update] * MAX_UPDATES}).updates) == MAX_UPDATES
    with pytest.raises(ValidationError):
        UpdateReports.model_validate({"updates": [update] * count})


@pytest.mark.parametrize(
    "change",
    [
        {"cosine": 1.001},
        {"cosine": -1.001},
        {"norm": -1},
        {"sign_agreement": 1.1},
        {"layer_shares": {f"layer-{number}": 0.0 for number in range(MAX_LAYERS + 1)}},
        {"layer_shares": {"": 0.5}},
        {"layer_shares": {"n" * 129: 0.5}},
        {"layer_shares": {"head": 1.5}},
        {"reference": "mean"},
    ],
)
def test_evidence_that_cannot_be_measured_so_is_no_evidence(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        UpdateEvidence.model_validate({**_BY_MODEL[UpdateEvidence], **change})


@pytest.mark.parametrize(
    "change",
    [
        {"clip_norm_ratio": 0},
        {"clip_norm_ratio": -1.0},
        {"detail": "some"},
        {"detail": ""},
        {"unknown": True},
        {"may_assert": ["x"] * 33},
        {"waived": ["Not A Label"]},
        {"quarantine": None},
    ],
)
def test_an_obligation_that_is_not_known_makes_the_decision_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Obligations.model_validate(change)
    with pytest.raises(ValidationError):
        PolicyDecision.model_validate({**_BY_MODEL[PolicyDecision], "obligations": change})


@pytest.mark.parametrize("ttl", [-1, 300.1, None, "60"])
def test_a_decision_may_be_relied_on_for_five_minutes_at_most(ttl: Any) -> None:
    with pytest.raises(ValidationError):
        PolicyDecision.model_validate({**_BY_MODEL[PolicyDecision], "ttl_seconds": ttl})
    with pytest.raises(ValidationError):
        Capability.model_validate({**_BY_MODEL[Capability], "expires_in": ttl})


@pytest.mark.parametrize(("outcome", "allowed"), [("allow", True), ("deny", False), ("error", False)])
def test_an_error_denies_as_a_denial_does(outcome: Any, allowed: bool) -> None:
    known = {"id": "dec-1", "time": 1.0, "action": "inference", "subject": "dev-a", "resource": "model"}
    rest = {"reasons": [], "obligations": Obligations(), "rules": [], "ttl_seconds": 0.0, "policy_revision": ""}
    assert Decision.model_validate({**known, **rest, "outcome": outcome}).allowed is allowed
