"""Documents that everybody reads alike, and events that come out as they went in."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.proxy import documents
from adapters.gateway.proxy.client import encoded
from adapters.gateway.proxy.endpoints import Usage, changed, placed
from adapters.gateway.proxy.openai import OpenAiAnswers
from adapters.serversent import EventReader, ServerEvent

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=60, deadline=None)
def test_a_document_is_read_as_it_was_written(document: Any) -> None:
    assert documents.read(documents.written(document)) == document
    assert documents.read(json.dumps(document, indent=1).encode()) == document


@given(st.binary(max_size=60) | JSON.map(lambda one: json.dumps(one).encode()[:-1]))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_is_a_document_or_none(body: bytes) -> None:
    try:
        found = documents.read(body)
    except documents.Unread:
        return
    assert documents.read(documents.written(found)) == found == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"\\u0061":2}}]',
        b"[NaN]",
        b"[-Infinity]",
        b'["\\udc00"]',
        b'{"\\ud800":1}',
        b"[" * (documents.MAX_DEPTH + 2) + b"]" * (documents.MAX_DEPTH + 2),
        b"[" * 100_000,
        b'{"a":' * 80 + b"1" + b"}" * 80,
        '["x"]'.encode("utf-16"),
        b"\xef\xbb\xbf[]",
        b'["\xc0\xaf"]',
        b"[1e]",
        b"[1e999]",
        b"",
    ],
)
def test_what_is_read_in_two_ways_is_read_in_none(body: bytes) -> None:
    with pytest.raises(documents.Unread):
        documents.read(body)


@given(JSON)
@settings(max_examples=60, deadline=None)
def test_what_is_changed_is_what_has_a_place(document: Any) -> None:
    places = list(placed(document, {"model"}))
    found = changed(document, lambda place, text: f"{text}!", {"model"})
    assert [text for _place, text in placed(found, {"model"})] == [f"{text}!" for _place, text in places]


@given(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), min_size=1),
)
@settings(max_examples=60, deadline=None)
def test_an_event_is_read_as_it_was_written(name: str, data: str) -> None:
    event = ServerEvent(name, data, "7")
    assert EventReader().feed(encoded(event)) == [event]


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 3}}, Usage(5, 3)),
        ({"usage": {"prompt_tokens": 5}}, Usage(5, 0)),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": None}}, None),
        ({"usage": {"prompt_tokens": 5.0, "completion_tokens": 3}}, None),
        ({"usage": {"prompt_tokens": False, "completion_tokens": 3}}, None),
        ({"usage": {"prompt_tokens": 2**31, "completion_tokens": 3}}, None),
        ({"usage": [5, 3]}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_usage_is_whole_numbers_or_none(document: Any, usage: Usage | None) -> None:
    assert OpenAiAnswers().usage(document) == usage
