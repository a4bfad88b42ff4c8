import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.jose.jws import MAX_TOKEN_CHARS, decode_segment, encode_segment, parse, parse_object


@given(st.binary(max_size=200))
def test_a_segment_reads_back_as_the_bytes_it_was_made_of(raw: bytes) -> None:
    assert decode_segment(encode_segment(raw)) == raw


@given(st.binary(max_size=80))
def test_a_segment_has_one_spelling(segment: bytes) -> None:
    try:
        raw = decode_segment(segment)
    except ValueError:
        return
    assert encode_segment(raw) == segment


@pytest.mark.parametrize("segment", [b"QQ==", b"QR", b"Q", b"Q Q", b"+/+/", b"QUI\n", b"\xff\xff"])
def test_padding_spare_bits_whitespace_and_the_other_alphabet_are_refused(segment: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_segment(segment)


@pytest.mark.parametrize(
    "raw",
    [b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":NaN}', b'{"a":Infinity}', b"[]", b"1", b"", b"\xff", b'{"a":1}x'],
)
def test_an_object_with_repeated_names_or_what_json_lacks_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_object(raw)


def test_utf16_is_not_guessed() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_object(json.dumps({"a": 1}).encode("utf-16"))


@given(st.one_of(st.text(max_size=300), st.none(), st.integers(), st.binary(max_size=50)))
def test_whatever_is_no_token_is_none_and_never_an_exception(anything: object) -> None:
    assert parse(anything) is None


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_well_encoded_rubbish_is_none_and_never_an_exception(parts: list[bytes]) -> None:
    assert parse(b".".join(map(encode_segment, parts)).decode()) is None


def test_deep_nesting_is_none_and_not_a_recursion_error() -> None:
    deep = encode_segment(b'{"a":' * 1000 + b"1" + b"}" * 1000).decode()
    assert parse(f"{deep}.e30.{encode_segment(bytes(64)).decode()}") is None


def test_a_token_that_is_too_long_is_not_decoded() -> None:
    header, signature = encode_segment(b"{}").decode(), encode_segment(bytes(64)).decode()
    longest = MAX_TOKEN_CHARS - len(header) - len(signature) - 2
    longest -= longest % 4
    assert parse(f"{header}.{'A' * longest}.{signature}") is not None
    assert parse(f"{header}.{'A' * (longest + 4)}.{signature}") is None
