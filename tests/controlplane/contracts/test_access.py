import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.contracts.access import (
    EvaluationsRequest,
    InferenceSize,
    Network,
    OpenModel,
    RequestContext,
    ResourceProperties,
)
from controlplane.contracts.base import LenientModel
from tests.controlplane.contracts.samples import LENIENT_SAMPLES


@pytest.mark.parametrize(
    "value", [True, 0, -(2**53), 2**53, 0.5, -1e12, 1e12, "", "x" * 256, [], ["x" * 256] * 32, None]
)
def test_an_added_property_is_a_scalar_or_a_short_list_and_keeps_its_type(value: Any) -> None:
    read = OpenModel.model_validate({"mine": value})
    assert read.model_dump() == {"mine": value}
    assert type(read.model_dump()["mine"]) is type(value)
    assert OpenModel.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    "value",
    [
        *(2**53 + 1, -(2**53) - 1, 10**400, 1.1e12, float("nan"), float("-inf")),
        *("x" * 257, ["x" * 257], ["x"] * 33, [1], [None], [["x"]], {}, {"a": 1}),
        *(("x",), {"x"}, b"x", 1j, object()),
    ],
)
def test_an_added_property_is_nothing_larger_or_deeper(value: Any) -> None:
    with pytest.raises(ValidationError):
        OpenModel.model_validate({"mine": value})


def test_at_most_32_properties_are_added_under_names_of_at_most_64_characters() -> None:
    many = {f"p{number}": number for number in range(32)}
    assert OpenModel.model_validate(many).model_dump() == many
    with pytest.raises(ValidationError, match="at most 32"):
        OpenModel.model_validate({**many, "p32": 32})
    assert OpenModel.model_validate({"n" * 64: 1}).model_dump() == {"n" * 64: 1}
    with pytest.raises(ValidationError, match="64 characters"):
        OpenModel.model_validate({"n" * 65: 1})


@pytest.mark.parametrize(
    "context",
    [
        {"purpose": "Training"},
        {"round_id": "r 1"},
        {"network": "192.0.2.1"},
        {"network": {"address": "192.0.2.1", "port": 1}},
        {"inference": {"prompt_tokens": 1}},
        {"evidence": {}},
        {"verification": {"verified": "yes"}},
        {"verification": {"verified": False, "cause": "Bad Cause"}},
    ],
)
def test_a_declared_property_keeps_its_form_although_others_may_be_added(context: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RequestContext.model_validate(context)
    assert RequestContext.model_validate({"mine": 1, "purpose": "training"}).purpose == "training"


@pytest.mark.parametrize("digest", ["sha256:0", "latest", 1, ["sha256:" + "0" * 64]])
def test_a_digest_of_another_form_is_no_digest(digest: Any) -> None:
    with pytest.raises(ValidationError):
        ResourceProperties.model_validate({"digest": digest})


@pytest.mark.parametrize(
    "address", ["1", "1.2.3.4\n", "localhost", "1.2.3.4/8", "a" * 46, "fe80::1%eth0", "::1:", "1.2"]
)
def test_an_address_is_textual_ip(address: str) -> None:
    with pytest.raises(ValidationError):
        Network(address=address)
    assert Network(address="2001:db8::1").address == "2001:db8::1"


@pytest.mark.parametrize("address", ["::ffff:192.0.2.1", "::FFFF:c000:201", "0:0:0:0:0:ffff:192.0.2.1"])
def test_an_ipv4_address_is_told_as_one_however_it_is_written(address: str) -> None:
    assert Network(address=address).address == "192.0.2.1"


@pytest.mark.parametrize(
    "batch",
    [
        {"evaluations": [{}] * 101},
        {"evaluations": {}},
        {"evaluations": None},
        {"evaluations": [[]]},
        {"evaluations": [{}], "options": {"evaluations_semantic": "some"}},
        {"evaluations": [{}], "options": None},
        {"subject": None},
        {"context": None},
        {"subject": {"type": "user"}},
    ],
)
def test_a_batch_is_bounded_and_its_defaults_are_whole(batch: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluationsRequest.model_validate(batch)
    assert len(EvaluationsRequest.model_validate({"evaluations": [{}] * 100}).evaluations) == 100


@pytest.mark.parametrize(("model", "sample"), LENIENT_SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_a_wire_form_does_not_know_it_ignores(model: type[LenientModel], sample: dict[str, Any]) -> None:
    read = model.model_validate(sample)
    assert json.loads(read.model_dump_json(exclude_unset=True)) == sample
    assert model.model_validate_json(json.dumps({**sample, "future": {"x": [1]}})) == read
    for part in ("subject", "resource"):
        assert model.model_validate({**sample, part: {**sample[part], "future": 1}}) == read


@pytest.mark.parametrize(("model", "sample"), LENIENT_SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_a_wire_form_declares_keeps_its_type(model: type[LenientModel], sample: dict[str, Any]) -> None:
    for name, part in sample.items():
        for wrong in (None, 1, "x", True, [part]):
            if not (isinstance(part, list) and isinstance(wrong, list)):
                with pytest.raises(ValidationError):
                    model.model_validate({**sample, name: wrong})
    for name in ("type", "id"):
        for wrong in (None, 1, "", "a\nb", ["x"], "x" * 513):
            if name in sample["subject"]:
                with pytest.raises(ValidationError):
                    model.model_validate({**sample, "subject": {**sample["subject"], name: wrong}})


@settings(max_examples=100, deadline=None)
@given(st.integers(), st.integers())
def test_the_size_of_an_inference_is_a_count(prompt: int, output: int) -> None:
    is_count = all(0 <= number <= 1_000_000_000 for number in (prompt, output))
    try:
        InferenceSize(prompt_tokens=prompt, max_output_tokens=output)
    except ValidationError:
        assert not is_count
    else:
        assert is_count
