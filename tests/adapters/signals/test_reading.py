"""The query in a body: for the common shapes, and nothing for what is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.signals.reading import MAX_BYTES, read_query


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ({"text": "light on"}, "light on"),
        ({"prompt": "light on", "model": "m", "max_tokens": 5}, "light on"),
        ({"inputs": ["light on", "light off"]}, "light on\nlight off"),
        ({"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "light on"}]}, "light on"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "light"}, {"type": "image"}]}]}, "light"),
        ({"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"features": [0.5, 1, -2]}, [0.5, 1.0, -2.0]),
        ({"instances": [[1, 2], [3, 4]]}, [1.0, 2.0, 3.0, 4.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ("light on", "light on"),
    ],
)
def test_a_query_is_found(document: Any, query: Any) -> None:
    assert read_query(json.dumps(document).encode()) == query


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"light on",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"null",
        b"17",
        b'{"text": 17}',
        b'{"text": ""}',
        b'{"other": "x"}',
        b'{"features": [true, false]}',
        b'{"features": [NaN]}',
        b'{"features": [1e999]}',
        b'{"features": ' + str([10**400]).encode() + b"}",
        b'{"messages": [{"role": "system", "content": "be kind"}]}',
        b'{"messages": [{"role": "user", "content": 17}]}',
        b"[" * 100_000,
        json.dumps({"text": "x" * MAX_BYTES}).encode(),
        json.dumps({"features": [1.0] * 20_000}).encode(),
    ],
)
def test_what_is_no_query_is_none(body: bytes) -> None:
    assert read_query(body) is None


@given(st.binary(max_size=2000))
def test_no_body_raises(body: bytes) -> None:
    read_query(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["text", "content", "role"]), inner),
    max_leaves=20,
)


@given(st.sampled_from(["text", "messages", "input", "features"]), json_values)
def test_no_json_raises(name: str, value: Any) -> None:
    found = read_query(json.dumps({name: value}).encode())
    assert found is None or isinstance(found, str) or all(isinstance(one, float) for one in found)
