"""JSON is read in one way, and nobody's process dies of it."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contracts.unambiguous import MOST_DEEP, AmbiguousError, TooDeepError, read_json

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(DOCUMENTS)
def test_whatever_json_can_say_is_read(document: Any) -> None:
    assert read_json(json.dumps(document).encode()) == document


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"b":[', '["]]]}}",'])
def test_what_is_nested_too_deeply_is_refused_however_deep_the_process_may_go(opening: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(TooDeepError):
            read_json(opening.encode() * 200_000)
    finally:
        sys.setrecursionlimit(limit)


def test_brackets_in_texts_and_side_by_side_are_no_depth() -> None:
    wide = [{"text": '[[[{{{\\"[' * 20, "list": []} for _ in range(2_000)]
    assert read_json(json.dumps(wide).encode()) == wide
    deep = "[" * MOST_DEEP + "]" * MOST_DEEP
    assert json.dumps(read_json(deep.encode())) == deep
    with pytest.raises(TooDeepError):
        read_json(f"[{deep}]".encode())


@pytest.mark.parametrize("raw", [b'{"a": 1, "a": 2}', b"NaN", b"[Infinity]", b"-Infinity"])
def test_what_two_parsers_may_read_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(AmbiguousError):
        read_json(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[1,]", b'"' * 3])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(raw)
