import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, ValidationError

from controlplane.contracts.claims import MAX_CHARACTERS, MAX_VALUES, Claims

ADAPTER: TypeAdapter[Any] = TypeAdapter(Claims, config=ConfigDict(strict=True))
SCHEMA = jsonschema.Draft202012Validator(ADAPTER.json_schema())


def read(claims: Any) -> Any:
    return ADAPTER.validate_json(json.dumps(claims))


def nested(depth: int, *, in_lists: bool = False) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner] if in_lists else {"x": inner}
    return inner


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"": ""},
        {"x": [1, 2.5, "text", True, None, {"y": []}]},
        {f"p{number}": number for number in range(32)},
        {"x": "y" * 1024},
        {"x" * 128: 1},
        {"x": 2**53},
        {"x": -(2**53)},
        {"x": -1e15},
        {"x": list(range(64))},
        nested(4),
        {"x": nested(3, in_lists=True)},
    ],
)
def test_any_json_object_that_is_small_enough_is_read_as_it_was_written(claims: dict[str, Any]) -> None:
    assert read(claims) == claims
    assert json.loads(ADAPTER.dump_json(read(claims))) == claims
    assert SCHEMA.is_valid(claims)


@pytest.mark.parametrize(
    "claims",
    [
        None,
        [],
        "x",
        1,
        {f"p{number}": number for number in range(33)},
        {"x": {f"p{number}": number for number in range(33)}},
        {"x": "y" * 1025},
        {"x": {"y" * 129: 1}},
        {"x": 2**53 + 1},
        {"x": [-(2**53) - 1]},
        {"x": 1e16},
        {"x": list(range(65))},
        nested(5),
        {"x": nested(4, in_lists=True)},
    ],
)
def test_nothing_larger_or_deeper_is_read(claims: Any) -> None:
    with pytest.raises(ValidationError):
        read(claims)
    assert not SCHEMA.is_valid(claims), "the published schema says so as well"


def test_there_is_a_bound_to_all_of_it() -> None:
    full = {f"p{number}": [0] * 7 for number in range(32)}
    assert read(full) == full, f"{32 * 8} values are not more than {MAX_VALUES}"
    with pytest.raises(ValidationError, match="in all"):
        read({**full, "p0": [0] * 8})
    long = {f"p{number:02}": "x" * 509 for number in range(32)}
    assert sum(len(name) + len(text) for name, text in long.items()) == MAX_CHARACTERS
    assert read(long) == long
    with pytest.raises(ValidationError, match="in all"):
        read({**long, "p00": "x" * 510})


@pytest.mark.parametrize(
    "text", ['{"x": 1e999}', '{"x": -1e999}', '{"x": NaN}', '{"x": [Infinity]}', '{"x": "\\ud800"}']
)
def test_what_json_cannot_say_is_no_claim(text: str) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_json(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


@given(JSON)
def test_the_schema_and_the_reader_agree(claims: Any) -> None:
    try:
        assert read(claims) == claims
    except ValidationError:
        assert not SCHEMA.is_valid(claims)
    else:
        assert SCHEMA.is_valid(claims)
