"""A problem names what does not fit and never repeats it."""

import pytest
from pydantic import ValidationError

from controlplane.api.problems import invalid, refused, too_many, unauthenticated
from controlplane.contracts.access import AccessReason, RequestContext
from controlplane.contracts.decision import Decision, Obligations


def decision(outcome: str) -> Decision:
    return Decision.model_validate(
        {
            "id": "dec-1",
            "time": 1.0,
            "action": "inference",
            "subject": "dev-1",
            "resource": "m",
            "outcome": outcome,
            "reasons": [AccessReason(code="a", message="b", remedy="c")],
            "obligations": Obligations(),
            "rules": [],
            "ttl_seconds": 0.0,
            "policy_revision": "",
        }
    )


def test_a_denial_is_403_and_a_policy_that_cannot_be_asked_is_503() -> None:
    assert refused(decision("deny")).problem.status == 403
    error = refused(decision("error"))
    assert error.problem.status == 503
    assert error.problem.decision_id == "dec-1"
    assert error.headers["Retry-After"]


@pytest.mark.parametrize(("seconds", "shown"), [(0.001, "1"), (1.0, "1"), (1.2, "2"), (60.0, "60")])
def test_the_time_to_wait_is_whole_seconds_and_never_none(seconds: float, shown: str) -> None:
    assert too_many(seconds).headers["Retry-After"] == shown


def test_the_cause_of_a_401_stays_inside() -> None:
    error = unauthenticated("proof_stale")
    assert error.cause == "proof_stale"
    assert "stale" not in error.problem.model_dump_json()


def test_the_members_of_a_union_are_no_fields() -> None:
    document = {"colour": {"nested": 1}}
    with pytest.raises(ValidationError) as raised:
        RequestContext.model_validate(document)
    [error] = invalid(raised.value, document).problem.errors or []
    assert error.pointer == "/colour"
    assert "boolean" in error.detail
    assert "string" in error.detail
