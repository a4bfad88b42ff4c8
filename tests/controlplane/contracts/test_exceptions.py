"""Exceptions on the wire: dated, reasoned, and of what can be waived alone."""

from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.exceptions import ExceptionFact, ExceptionRequest, granted, state_at

NOW = 1_767_225_600.0
ASKED: dict[str, Any] = {
    "subject": "dev-1",
    "resource": "m",
    "action": "inference",
    "waives": ["trust_sufficient"],
    "reason": "Bench test.",
    "ends_at": NOW + 60.0,
}
FACT: dict[str, Any] = {
    **ASKED,
    "waives": {"trust_sufficient": True},
    "approver": "adm-1",
    "starts_at": NOW,
}


def test_what_can_be_waived_is_for_policy_to_say() -> None:
    asked = ExceptionRequest.model_validate({**ASKED, "waives": ["of_their_own"]})
    assert granted(asked, "exc-1", "adm-1", NOW).waives == ["of_their_own"]


@pytest.mark.parametrize(
    "change",
    [
        {"waives": []},
        {"waives": ["No Code"]},
        {"waives": [f"code_{number}" for number in range(17)]},
        {"waives": ["trust_sufficient", "trust_sufficient"]},
        {"waives": {"trust_sufficient": True}},
        {"reason": ""},
        {"reason": "  "},
        {"reason": "two\nlines"},
        {"reason": "x" * 513},
        {"subject": ""},
        {"subject": "no spaces"},
        {"resource": "x" * 257},
        {"action": ""},
        {"ends_at": None},
        {"ends_at": "2026-01-01T00:00:00Z"},
        {"ends_at": 1e300},
        {"ends_at": float("inf")},
        {"ends_at": -1.0},
        {"starts_at": NOW + 60.0},
        {"starts_at": NOW + 61.0},
        {"approver": "me"},
    ],
)
def test_what_is_no_exception_cannot_be_asked_for(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExceptionRequest.model_validate({**ASKED, **change})


@pytest.mark.parametrize("name", list(ASKED))
def test_nothing_can_be_left_out(name: str) -> None:
    with pytest.raises(ValidationError):
        ExceptionRequest.model_validate({key: value for key, value in ASKED.items() if key != name})


@pytest.mark.parametrize("name", list(FACT))
@pytest.mark.parametrize("value", [None, [], {}, True, "", "\n"])
def test_a_fact_that_is_not_whole_is_none(name: str, value: Any) -> None:
    ExceptionFact.model_validate(FACT)
    with pytest.raises(ValidationError):
        ExceptionFact.model_validate({**FACT, name: value})
    with pytest.raises(ValidationError):
        ExceptionFact.model_validate({key: value for key, value in FACT.items() if key != name})


def test_it_starts_when_it_is_granted_or_when_it_was_asked_for() -> None:
    asked = ExceptionRequest.model_validate(ASKED)
    made = granted(asked, "exc-1", "adm-1", NOW)
    assert (made.starts_at, made.granted_at, made.ends_at, made.uses, made.state) == (NOW, NOW, NOW + 60, 0, "current")
    later = granted(ExceptionRequest.model_validate({**ASKED, "starts_at": NOW + 5.0}), "exc-1", "adm-1", NOW)
    assert (later.starts_at, later.state) == (NOW + 5.0, "scheduled")


def test_it_stands_by_its_times_at_their_edges() -> None:
    assert [state_at(10.0, 20.0, None, now) for now in (9.9, 10.0, 19.9, 20.0)] == [
        "scheduled",
        "current",
        "current",
        "expired",
    ]
    assert {state_at(10.0, 20.0, 5.0, now) for now in (1.0, 15.0, 25.0)} == {"revoked"}
