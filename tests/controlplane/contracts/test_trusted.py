"""The fast way to an instance makes the same one as the checked way."""

import json

import pytest

from controlplane.contracts.access import RequestContext, Subject
from controlplane.contracts.base import StrictModel
from tests.controlplane.contracts.samples import SAMPLES


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_an_instance_of_trusted_parts_is_the_checked_one(model: type[StrictModel], sample: dict[str, object]) -> None:
    checked = model.model_validate(sample)
    parts = {name: getattr(checked, name) for name in model.model_fields}
    made = model.of_trusted(**parts)
    assert made == checked
    for options in ({}, {"exclude_none": True}, {"by_alias": True}):
        assert json.loads(made.model_dump_json(**options)) == json.loads(checked.model_dump_json(**options))


def test_what_is_left_out_has_its_default() -> None:
    made = RequestContext.of_trusted(purpose="training")
    assert made == RequestContext(purpose="training")
    assert made.round_id is None
    assert made.model_extra == {}


@pytest.mark.parametrize("fields", [{"type": "device"}, {"type": "device", "id": "dev-1", "role": "administrator"}])
def test_a_field_too_few_or_too_many_is_a_mistake(fields: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="Subject has other fields"):
        Subject.of_trusted(**fields)
