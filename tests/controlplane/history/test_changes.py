"""A change is counted once by what it is, and under each reason and segment."""

from typing import Any

import pytest

from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.shadow import MAX_GROUPS, SAMPLES
from controlplane.history.changes import Comparison, change_of
from controlplane.history.records import Recorded


def was(outcome: str, *codes: str, number: int = 0, segment: str = "homes", **document: Any) -> Recorded:
    reasons = [{"code": code, "message": "m", "remedy": "r"} for code in codes]
    facts = {"subject": {"type": "device", "id": f"dev-{number}", "properties": {"segment": segment}}}
    return Recorded(
        f"dec-{number}",
        "inference",
        {
            "id": f"dec-{number}",
            "time": float(number),
            "action": "inference",
            "subject": f"dev-{number}",
            "resource": "smart-home-intents",
            "outcome": outcome,
            "reasons": reasons,
            "obligations": Obligations().model_dump(),
            "ttl_seconds": 60.0 if outcome == "allow" else 0.0,
            "facts": facts,
            **document,
        },
    )


def becomes(outcome: Any, *codes: str, ttl: float = 60.0, **obligations: Any) -> Decision:
    return Decision(
        id="dec-x",
        time=0.0,
        action="inference",
        subject="dev-0",
        resource="smart-home-intents",
        outcome=outcome,
        reasons=[AccessReason(code=code, message="m", remedy="r") for code in codes],
        obligations=Obligations(**obligations),
        rules=["a"],
        ttl_seconds=ttl if outcome == "allow" else 0.0,
        policy_revision="rev",
    )


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (was("allow"), becomes("allow"), None),
        (was("allow"), becomes("deny", "a"), "newly_denied"),
        (was("allow"), becomes("error", "policy_undefined"), "newly_denied"),
        (was("deny", "a"), becomes("allow"), "newly_allowed"),
        (was("deny", "a"), becomes("deny", "a"), None),
        (was("deny", "a"), becomes("deny", "a", "b"), "other_reasons"),
        (was("allow"), becomes("allow", ttl=30.0), "other_terms"),
        (was("allow"), becomes("allow", watch=True), "other_terms"),
        (was("allow"), becomes("allow", state="quarantined"), "other_terms"),
    ],
)
def test_what_changes_has_a_name(before: Recorded, after: Decision, change: str | None) -> None:
    assert change_of(before, after) == change


def test_an_obligation_that_was_not_known_then_is_no_change_by_itself() -> None:
    assert change_of(was("allow", obligations={}), becomes("allow")) is None


@pytest.mark.parametrize("quarantine", [False, True])
def test_an_obligation_that_is_not_known_any_more_is_no_change_by_itself(quarantine: bool) -> None:
    stated = {**Obligations().model_dump(), "quarantine": quarantine}
    assert change_of(was("allow", obligations=stated), becomes("allow")) is None


def test_a_decision_with_two_reasons_is_one_change_in_two_groups() -> None:
    found = Comparison()
    found.add(was("allow"), becomes("deny", "a", "b"))
    assert found.changes["newly_denied"] == 1
    assert {group.reason: group.count for group in found.groups.values()} == {"a": 1, "b": 1}
    assert found.subjects["newly_denied"] == {"dev-0": 1}
    assert found.is_changed


def test_what_is_newly_allowed_is_grouped_by_what_was_missing() -> None:
    found = Comparison()
    found.add(was("deny", "trust_sufficient"), becomes("allow"))
    (group,) = found.groups.values()
    assert (group.change, group.reason, group.segment) == ("newly_allowed", "trust_sufficient", "homes")


def test_a_decision_that_no_policy_had_made_is_not_compared() -> None:
    found = Comparison()
    found.add(was("error", "policy_deadline"), becomes("allow"))
    assert (found.decided, found.not_decided, found.is_changed) == (0, 1, False)


def test_an_answer_that_is_none_counts_as_failed_and_denied() -> None:
    found = Comparison()
    found.add(was("allow"), becomes("error", "policy_malformed"))
    assert (found.failed, found.changes["newly_denied"]) == (1, 1)


def test_samples_and_groups_are_bounded() -> None:
    found = Comparison()
    for number in range(20):
        found.add(was("allow", number=number), becomes("deny", "a"))
    for number in range(MAX_GROUPS + 10):
        found.add(was("allow", number=number, segment=f"s{number}"), becomes("deny", "a"))
    assert len(found.groups) == MAX_GROUPS
    assert all(len(group.samples) <= SAMPLES for group in found.groups.values())
    assert found.changes["newly_denied"] == MAX_GROUPS + 30


@pytest.mark.parametrize(
    ("subject", "segment"),
    [
        ({"type": "person", "id": "person-1", "properties": {"issuer": "x"}}, "people"),
        ({"type": "device", "id": "dev-1"}, "none"),
        ({"type": "device", "id": "dev-1", "properties": None}, "none"),
    ],
)
def test_whoever_has_no_segment_is_counted_apart(subject: dict[str, Any], segment: str) -> None:
    assert was("deny", facts={"subject": subject}).segment == segment


def test_what_is_set_aside_changes_nothing_and_is_listed() -> None:
    found = Comparison()
    found.set_aside(was("allow"), becomes("error", "policy_undefined"))
    (group,) = found.groups.values()
    assert (group.change, group.reason, group.count, group.samples[0].id) == ("failed", "policy_undefined", 1, "dec-0")
    assert (found.decided, found.failed, found.is_changed) == (0, 1, False)
