from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from controlplane.contracts.base import (
    Count,
    Digest,
    Identifier,
    Label,
    Magnitude,
    Share,
    Text,
    Thumbprint,
    Timestamp,
    Token,
    is_identifier,
)

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def _fits(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            Identifier,
            ["a", "7", "dev-A_b.c:d/e@f+g", "a" * 128],
            ["", "-a", "a b", "a\n", "a\0", "ä", "a" * 129, "a?b", "%00"],
        ),
        (Label, ["a", "round:create", "a" * 64], ["", "A", "1a", "a b", "a\n", "a" * 65, "a/b"]),
        (
            Digest,
            [f"sha256:{'0' * 64}"],
            ["", "sha256:", f"sha256:{'A' * 64}", f"sha1:{'0' * 40}", f"sha256:{'0' * 64}\n"],
        ),
        (Thumbprint, ["A" * 43, "-_" * 21 + "a"], ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n"]),
        (Text, ["", "x" * 512], ["x" * 513]),
        (Token, ["x", "x" * 8192], ["", "x" * 8193]),
        (Share, [0.0, 1.0, 0, 1], [-0.001, 1.001, True, "0.5", float("nan")]),
        (Magnitude, [0.0, 1e12, 3], [-1.0, 1.1e12, True, float("inf")]),
        (Count, [0, 1_000_000_000], [-1, 1_000_000_001, True, 1.0, "1"]),
        (Timestamp, [0, 1_767_225_600.5, 253_402_300_799], [-1, 253_402_300_800, True, "2026-01-01"]),
    ],
)
def test_a_scalar_has_bounds(kind: Any, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not _fits(kind, value)] == []
    assert [value for value in bad if _fits(kind, value)] == []


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=20), st.from_regex(r"[A-Za-z0-9._:/@+-]{0,140}\n?", fullmatch=True)))
def test_the_two_ways_to_know_an_identifier_agree(text: str) -> None:
    assert is_identifier(text) is _fits(Identifier, text)
