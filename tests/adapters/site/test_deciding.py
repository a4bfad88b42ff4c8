"""Nothing but a whole answer that proves all it requires allows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.site.deciding import conclude, faulty
from adapters.site.errors import FAULTS, fault_reason
from controlplane.contracts.site import ModelInFacts, SiteAnswer, SiteLimits, UpdateOutFacts
from tests.controlplane.contracts.samples import SITE_SAMPLES

COMING = ModelInFacts.model_validate(SITE_SAMPLES["model_in"])
CODES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)


def going(**update: Any) -> UpdateOutFacts:
    facts = SITE_SAMPLES["update_out"]
    return UpdateOutFacts.model_validate({**facts, "context": {**facts["context"], "update": update}})


@given(CODES.filter(bool), CODES)
def test_it_is_allowed_when_all_that_is_required_is_proven_and_not_else(required: list[str], proven: list[str]) -> None:
    ruling = conclude(SiteAnswer(required=required, proven=proven), SiteLimits(), {}, COMING)
    assert ruling.allowed == (set(required) <= set(proven))
    assert set(ruling.codes) == set(required) - set(proven)


@pytest.mark.parametrize(
    "answer",
    [
        {"required": [], "proven": []},
        {"required": ["a"], "proven": ["a"], "allow": True},
        {"required": ["a"], "proven": True},
        {"required": ["A B"], "proven": ["A B"]},
        {"required": [f"a{number}" for number in range(17)], "proven": []},
        {"proven": ["a"]},
        {"required": ["a"]},
        True,
        None,
        [],
    ],
)
def test_what_is_no_answer_is_none(answer: object) -> None:
    with pytest.raises(ValidationError):
        SiteAnswer.model_validate(answer)


@pytest.mark.parametrize(
    ("limits", "kept", "broken", "code"),
    [
        ({"max_norm": 2.0}, {"norm": 2.0}, {"norm": 2.0000001}, "norm_exceeded"),
        ({"max_examples": 10}, {"examples": 10}, {"examples": 11}, "examples_exceeded"),
        ({"epsilon": 0.5}, {"epsilon": 0.5}, {"epsilon": 0.6}, "epsilon_exceeded"),
        ({"epsilon": 0.0}, {"epsilon": 0.0}, {"epsilon": 1e-9}, "epsilon_exceeded"),
    ],
)
def test_a_limit_is_kept_or_it_is_a_veto(limits: Any, kept: Any, broken: Any, code: str) -> None:
    answer, bound = SiteAnswer(required=["a"], proven=["a"]), SiteLimits(**limits)
    assert conclude(answer, bound, {}, going(**kept)).allowed
    for update in (broken, {}):
        assert conclude(answer, bound, {}, going(**update)).codes == [code]


def test_a_model_of_unknown_size_is_larger_than_any_limit() -> None:
    answer, bound = (
        SiteAnswer(required=["a"], proven=["a"]),
        SiteLimits(max_bytes=COMING.resource.properties.size_bytes),
    )
    assert conclude(answer, bound, {}, COMING).allowed
    properties = COMING.resource.properties.model_copy(update={"size_bytes": None})
    unknown = COMING.model_copy(update={"resource": COMING.resource.model_copy(update={"properties": properties})})
    assert conclude(answer, bound, {}, unknown).codes == ["bytes_exceeded"]


@pytest.mark.parametrize("texts", [{}, {"a": None}, {"a": {"message": 1, "remedy": "x" * 600}}, {"a": {}}])
def test_texts_that_are_none_make_no_other_decision(texts: Any) -> None:
    ruling = conclude(SiteAnswer(required=["a"], proven=[]), SiteLimits(), texts, COMING)
    assert [reason.code for reason in ruling.reasons] == ["site:a"]


@pytest.mark.parametrize("code", FAULTS)
def test_every_fault_is_a_veto_with_a_remedy(code: str) -> None:
    assert not faulty(code).allowed
    assert fault_reason(code).remedy.endswith(".")
