"""The registry of limits is closed, typed and append-only: tokens and verifiers of all versions meet."""

import pytest
from pydantic import ValidationError

from controlplane.contracts.capability import Constraints
from controlplane.contracts.decision import Obligations

SINCE: dict[str, tuple[str, dict[str, object]]] = {
    "round_id": ("0.1.0", {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"}),
    "model_digest": ("0.1.0", {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"}),
    "purpose": ("0.1.0", {"type": "string", "enum": ["training", "serving"]}),
    "max_output_tokens": ("0.1.0", {"type": "integer", "minimum": 0, "maximum": 1_000_000_000}),
    "detail": ("0.1.0", {"type": "string", "enum": ["full", "label_only"]}),
    "one_time": ("0.1.0", {"type": "boolean"}),
    "segment": ("0.2.0", {"type": "string", "pattern": r"^[a-z][a-z0-9_:.-]{0,63}$"}),
    "max_bytes": ("0.2.0", {"type": "integer", "exclusiveMinimum": 0, "maximum": 2**53}),
    "max_norm": ("0.2.0", {"type": "number", "exclusiveMinimum": 0.0, "maximum": 1e12}),
    "epsilon": ("0.2.0", {"type": "number", "exclusiveMinimum": 0.0, "maximum": 1e6}),
    "privacy": ("0.3.0", {"$ref": "#/$defs/PrivacyTerms"}),
    "shards": (
        "0.3.0",
        {"type": "array", "items": {"type": "string", "pattern": r"^[a-z][a-z0-9_:.-]{0,63}$"}, "maxItems": 64},
    ),
    "sealed_to": ("0.3.0", {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"}),
    "confidentiality": ("0.3.0", {"type": "string", "enum": ["plain", "grouped", "tee"]}),
    "group": ("0.3.0", {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"}),
}
"""Every limit that any version knows: since when, and of which type. Add to the end; change and remove nothing."""


def typed(name: str) -> dict[str, object]:
    """Return the JSON Schema of a limit, less its texts and the null that stands for no limit."""
    schema = Constraints.model_json_schema()["properties"][name]
    [stated] = [item for item in schema.get("anyOf", [schema]) if item != {"type": "null"}]
    return {word: value for word, value in stated.items() if word not in {"title", "description", "default"}}


def test_no_limit_was_renamed_taken_out_or_put_in_between() -> None:
    assert list(Constraints.model_fields) == list(SINCE)


@pytest.mark.parametrize("name", SINCE)
def test_no_limit_was_retyped(name: str) -> None:
    assert typed(name) == SINCE[name][1]


@pytest.mark.parametrize("name", SINCE)
def test_every_limit_can_be_left_out_so_that_older_tokens_hold(name: str) -> None:
    assert not Constraints.model_fields[name].is_required()
    assert Constraints.model_json_schema().get("required", []) == []


@pytest.mark.parametrize("unknown", [{"max_layers": 1}, {"Segment": "homes"}, {"": 1}, {"constraints": {}}])
def test_the_registry_is_closed(unknown: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Constraints.model_validate(unknown)


@pytest.mark.parametrize("name", ["max_bytes", "max_norm", "epsilon"])
def test_what_policy_obliges_to_is_of_the_type_of_the_limit(name: str) -> None:
    stated = Obligations.model_json_schema()["properties"][name]["anyOf"][0]
    assert {word: value for word, value in stated.items() if word != "title"} == SINCE[name][1]
    with pytest.raises(ValidationError):
        Obligations.model_validate({name: 0})
