"""Keys as multibase text: each has one spelling, and whatever is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.identifiers.multibase import MOST_CHARS, decode_base58, decode_key, encode_base58, encode_key

# Of the base58 Internet-Draft (draft-msporny-base58-03, section 5).
KNOWN = {
    b"Hello World!": "2NEpo7TZRRrLZSi2U",
    b"The quick brown fox jumps over the lazy dog.": "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
    bytes.fromhex("0000287fb4cd"): "11233QC4",
}


@pytest.mark.parametrize("raw", KNOWN)
def test_base58_is_that_of_the_others(raw: bytes) -> None:
    assert encode_base58(raw) == KNOWN[raw]
    assert decode_base58(KNOWN[raw]) == raw


@given(st.binary(max_size=40))
def test_bytes_come_back(raw: bytes) -> None:
    assert decode_base58(encode_base58(raw)) == raw


@given(st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=MOST_CHARS))
def test_a_text_is_the_only_spelling_of_its_bytes(text: str) -> None:
    assert encode_base58(decode_base58(text)) == text


@pytest.mark.parametrize("text", ["0", "O", "I", "l", " ", "1 ", "é", "\u0661", "1" * (MOST_CHARS + 1)])
def test_what_is_no_base58_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="character"):
        decode_base58(text)


@pytest.mark.parametrize("text", ["", "z", "Zabc", "m" + "A" * 40, "z" + encode_base58(b"\x80\x25" + b"\2" * 33)])
def test_another_encoding_or_kind_of_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"only base58btc|multicodec"):
        decode_key(text)


@pytest.mark.parametrize("mark", [b"\x80\x24", b"\xed\x01", b"\xe7\x01"])
@pytest.mark.parametrize("length", [0, 1, 31, 34])
def test_a_key_of_another_length_is_refused(mark: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        decode_key("z" + encode_base58(mark + b"\2" * length))


def test_a_longer_spelling_of_the_number_before_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="multicodec"):
        decode_key("z" + encode_base58(b"\x80\xa4\x00" + b"\2" * 33))


def test_nothing_of_another_length_is_written() -> None:
    with pytest.raises(ValueError, match="33 bytes"):
        encode_key("P-256", b"\2" * 32)
