"""CBOR of evidence has one spelling, and no bytes do anything but be read or be refused."""

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.attestation.cbor import Tagged, read_cbor
from controlplane.attestation.interface import EvidenceRefused

SCALARS = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=30) | st.text(max_size=20)
KEYS = st.integers(-9, 300) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-9, 300) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(VALUES)
def test_what_a_library_writes_is_read_back(value: object) -> None:
    assert read_cbor(cbor2.dumps(value), "it") == value


@settings(max_examples=150)
@given(st.binary(max_size=60))
@example(b"\xbf\xff")
@example(b"\x9b" + b"\xff" * 8)
@example(b"\xa1\xf4\x00")
def test_what_is_read_is_what_a_library_writes_and_all_else_is_refused(data: bytes) -> None:
    try:
        value = read_cbor(data, "it")
    except EvidenceRefused as refused:
        assert refused.cause == "malformed"
        return
    assert cbor2.dumps(_plain(value)) == data


def _plain(value: object) -> object:
    if isinstance(value, Tagged):
        return cbor2.CBORTag(value.tag, _plain(value.value))
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x18\x17",
        b"\x19\x00\xff",
        b"\x1a\x00\x00\xff\xff",
        b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
        b"\x1c",
        b"\x5f\x41\x00\xff",
        b"\x61\xff",
        b"\xa2\x01\x00\x01\x00",
        b"\xa1\x40\x00",
        b"\xa1\xf5\x00",
        b"\xf7",
        b"\xf9\x3c\x00",
        b"\x00\x00",
        b"\x81" * 20 + b"\x00",
        b"\x42\x00",
    ],
)
def test_other_spellings_and_other_things_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceRefused) as refused:
        read_cbor(data, "it")
    assert refused.value.cause == "malformed"


def test_tags_are_named_and_never_followed() -> None:
    assert read_cbor(bytes.fromhex("c5821b7fffffffffffffff01"), "it") == Tagged(5, [0x7FFF_FFFF_FFFF_FFFF, 1])
