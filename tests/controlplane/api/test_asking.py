"""AuthZEN's words become a question that policy can be asked: nothing unknown, nothing unbelieved, nothing mistyped."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.api.asking import PRODUCT_ACTIONS, believe, declared
from controlplane.contracts.access import AccessRequest, EvaluationRequest, RequestContext
from tests.support import DIGEST, honest_evidence

EVERYTHING = (
    *(f"claims.{part}" for part in ("subject", "action", "resource", "context")),
    *(f"context.{name}" for name in RequestContext.model_fields),
    "resource.properties.digest",
)


def asked(action: str = "inference", **parts: Any) -> EvaluationRequest:
    return EvaluationRequest.model_validate(
        {
            "subject": {"type": "device", "id": "dev-1", "properties": {"colour": "red"}},
            "action": {"name": action, "properties": {"mode": "chat"}},
            "resource": {"type": "model", "id": "m", "properties": {"digest": DIGEST, "mine": 1}},
            "context": {"purpose": "serving", "evidence": honest_evidence(), "mine": 2},
            **parts,
        }
    )


@pytest.mark.parametrize("action", sorted(PRODUCT_ACTIONS))
def test_a_product_action_is_asked_in_the_product_s_vocabulary(action: str) -> None:
    question = believe(asked(action), EVERYTHING)
    assert isinstance(question, AccessRequest)
    assert question == AccessRequest.model_validate(asked(action).model_dump())


@pytest.mark.parametrize("action", ["Inference", "inference ", "read", "admin", "enrol", "device:set_status", "other"])
def test_any_other_name_is_another_action(action: str) -> None:
    question = believe(asked(action), EVERYTHING)
    assert isinstance(question, EvaluationRequest)
    assert question == asked(action)


def test_whom_nothing_is_believed_says_nothing() -> None:
    other = believe(asked("read"), ())
    assert isinstance(other, EvaluationRequest)
    assert (other.subject.properties, other.action.properties, other.resource.properties, other.context) == ({},) * 4
    product = believe(asked(), ())
    assert isinstance(product, AccessRequest)
    assert product.context is not None
    assert (product.context.purpose, product.context.evidence) == (None, None)
    assert product.resource.properties is not None
    assert product.resource.properties.digest is None


@pytest.mark.parametrize("part", ["subject", "action", "resource", "context"])
def test_each_claim_is_believed_by_itself(part: str) -> None:
    question = believe(asked("read"), [f"claims.{part}"]).model_dump()
    claims = {name: question[name]["properties"] for name in ("subject", "action", "resource")}
    claims["context"] = question["context"]
    assert [name for name, told in claims.items() if told] == [part]


@pytest.mark.parametrize("path", ["claims", "claims.", "subject.properties", "context", "*", "claims.*"])
def test_a_path_that_only_looks_alike_is_not_believed(path: str) -> None:
    assert believe(asked("read"), [path]) == believe(asked("read"), ())


def test_what_a_declared_fact_holds_beside_is_dropped_and_what_it_holds_wrong_is_refused() -> None:
    evidence = {**honest_evidence(), "future": {"x": [1]}}
    question = believe(asked(context={"evidence": evidence, "network": {"address": "::1", "port": 1}}), EVERYTHING)
    assert isinstance(question, AccessRequest)
    assert question.context is not None
    assert question.context.evidence is not None
    wrongs: list[Any] = [1, "x", [], {}, {**evidence, "norm": "1"}, {**evidence, "nonfinite": 0.5}]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            believe(asked(context={"evidence": wrong}), EVERYTHING)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(-10, 10) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["digest", "purpose", "network", "inference", "a", "b"]), JSON, max_size=4)


@given(subject=OBJECTS, action=OBJECTS, resource=OBJECTS, context=OBJECTS)
def test_dropping_makes_nothing_fit_that_was_mistyped(subject: Any, action: Any, resource: Any, context: Any) -> None:
    document = {
        "subject": {"type": "device", "id": "d", "properties": subject},
        "action": {"name": "inference", "properties": action},
        "resource": {"type": "model", "id": "m", "properties": resource},
        "context": context,
    }
    kept = declared(AccessRequest, document)
    for name in RequestContext.model_fields:
        assert (name in kept["context"]) == (name in context)
    if "digest" in resource:
        assert kept["resource"]["properties"]["digest"] == resource["digest"]
    assert declared(AccessRequest, kept) == kept
