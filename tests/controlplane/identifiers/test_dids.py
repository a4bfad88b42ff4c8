"""What is a DID, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.identifiers.dids import MAX_DID_CHARS, Did, DidInvalid, parse_did


@pytest.mark.parametrize(
    ("text", "method", "specific"),
    [
        ("did:example:123", "example", "123"),
        ("did:web:example.com%3A3000:user", "web", "example.com%3A3000:user"),
        ("did:1:a::b", "1", "a::b"),
        ("did:ethr:0x1:0xab", "ethr", "0x1:0xab"),
    ],
)
def test_a_did_has_a_method_and_what_it_makes_of_it(text: str, method: str, specific: str) -> None:
    assert parse_did(text) == parse_did(text, method) == Did(method, specific)


@pytest.mark.parametrize(
    "text",
    [
        *("", "did", "did:", "did::", "did:a", "did:a:", "did:a:b:", "did:A:b", "did:a-b:c", "DID:a:b", "urn:a:b"),
        *("did:a:b#c", "did:a:b/c", "did:a:b?c", "did:a:b%", "did:a:b%4", "did:a:b%4g", "did:a:b c", "did:a:b\n"),
        *("did:a:é", "did:a:" + "b" * MAX_DID_CHARS, "did:" + "a" * 33 + ":b"),
    ],
)
def test_whatever_else_is_none(text: str) -> None:
    with pytest.raises(DidInvalid):
        parse_did(text)


def test_a_did_of_another_method_is_none_of_it() -> None:
    with pytest.raises(DidInvalid, match="no did:key"):
        parse_did("did:web:example.com", "key")


@given(st.text(max_size=200))
def test_any_text_is_a_did_or_refused(text: str) -> None:
    try:
        found = parse_did("did:" + text)
    except DidInvalid:
        return
    assert f"did:{found.method}:{found.specific}" == "did:" + text
