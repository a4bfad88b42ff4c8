"""Answers of policy as values: nothing raises on a denial but `require`, and what is not understood allows nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.answers import decision_of, granted
from adapters.errors import ControlPlaneError, Denied, Unavailable
from controlplane.contracts.capability import Capability
from controlplane.contracts.decision import AccessResponse

ALLOW: dict[str, Any] = {
    "id": "dec-1",
    "outcome": "allow",
    "policy_revision": "r1",
    "ttl_seconds": 60.0,
    "obligations": {"max_output_tokens": 5, "detail": "label_only"},
}
REASON = {"code": "trust_sufficient", "message": "Trust is low.", "remedy": "Submit sound updates."}


def test_an_allowing_answer_says_what_comes_with_it() -> None:
    decision = decision_of(AccessResponse(decision=True, context=ALLOW))
    assert decision.require() is decision
    assert (decision.id, decision.policy_revision, decision.ttl_seconds) == ("dec-1", "r1", 60.0)
    assert (decision.obligations.max_output_tokens, decision.obligations.detail) == (5, "label_only")


def test_a_denial_is_a_value_until_it_is_required_otherwise() -> None:
    context = {**ALLOW, "outcome": "deny", "ttl_seconds": 0.0, "obligations": {}, "reasons": [REASON]}
    decision = decision_of(AccessResponse(decision=False, context=context))
    assert not decision.allowed
    assert [(reason.code, reason.remedy) for reason in decision.reasons] == [(REASON["code"], REASON["remedy"])]
    with pytest.raises(Denied, match="trust_sufficient") as caught:
        decision.require()
    assert (caught.value.decision_id, len(caught.value.reasons)) == ("dec-1", 1)


@pytest.mark.parametrize("decision", [True, False])
def test_an_answer_is_neither_true_nor_false(decision: bool) -> None:
    context = ALLOW if decision else {**ALLOW, "outcome": "deny"}
    with pytest.raises(TypeError, match="allowed"):
        bool(decision_of(AccessResponse(decision=decision, context=context)))


def test_policy_that_could_not_be_asked_denies_and_may_be_asked_again() -> None:
    decision = decision_of(AccessResponse(decision=False, context={**ALLOW, "outcome": "error", "reasons": [REASON]}))
    assert not decision.allowed
    with pytest.raises(Unavailable) as caught:
        decision.require()
    assert caught.value.is_untouched


def test_an_element_that_could_not_be_evaluated_says_why() -> None:
    error = {"status": 400, "message": "/subject/id: Field required"}
    decision = decision_of(AccessResponse(decision=False, context={"outcome": "error", "error": error}))
    assert (decision.allowed, decision.outcome, decision.reasons[0].message) == (False, "error", error["message"])


@pytest.mark.parametrize(
    "change",
    [
        {"obligations": {"shred": True}},
        {"obligations": {"detail": "everything"}},
        {"obligations": None},
        {"outcome": "deny"},
        {"outcome": "perhaps"},
        {"ttl_seconds": "60"},
        {"id": ""},
    ],
)
def test_what_allows_in_terms_that_are_not_understood_is_not_acted_upon(change: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        decision_of(AccessResponse(decision=True, context={**ALLOW, **change}))


def test_another_control_planes_denial_needs_no_context() -> None:
    assert not decision_of(AccessResponse(decision=False, context={})).allowed


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ALLOW, "reasons", "error"]), inner),
    max_leaves=10,
)


@given(st.booleans(), st.dictionaries(st.sampled_from([*ALLOW, "reasons", "error"]), _JSON))
def test_whatever_comes_never_allows_by_accident(decision: bool, context: dict[str, Any]) -> None:
    try:
        found = decision_of(AccessResponse(decision=decision, context=context))
    except ControlPlaneError:
        return
    assert found.allowed is (decision and context.get("outcome") == "allow")


def test_a_grant_brings_its_capability() -> None:
    capability = Capability(access_token="t", expires_in=5.0, decision_id="dec-1", policy_revision="r")
    grant = granted(capability)
    assert grant.require() is capability
    assert (grant.allowed, grant.id, grant.policy_revision) == (True, "dec-1", "r")
