"""Streams that are added to whole numbers."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation.masks import Bits, add, agree, zeros


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 70_000), st.sampled_from([32, 64]), st.binary(min_size=32, max_size=32))
def test_what_is_added_and_taken_away_leaves_nothing(length: int, bits: Bits, key: bytes) -> None:
    total = zeros(length, bits)
    add(total, key, 1)
    assert length < 64 or np.unique(total).size > length // 2
    add(total, key, -1)
    assert not total.any()


def test_the_stream_is_chacha20_as_its_standard_has_it() -> None:
    # RFC 8439, appendix A.1, test vector 1: key, nonce and counter are 0.
    total = zeros(4, 32)
    add(total, bytes(32), 1)
    assert total.tobytes().hex() == "76b8e0ada0f13d90405d6ae55386bd28"


def test_long_streams_go_on_where_a_block_ends() -> None:
    whole = zeros(100_000, 32)
    add(whole, b"k" * 32, 1)
    wide = zeros(50_000, 64)
    add(wide, b"k" * 32, 1)
    assert whole.tobytes() == wide.tobytes()


def test_two_parties_agree_on_one_key_for_each_purpose() -> None:
    one, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    keys = [
        agree(mine, theirs.public_key().public_bytes_raw(), b"salt", purpose)
        for mine, theirs in ((one, other), (other, one))
        for purpose in (b"a", b"b")
    ]
    assert keys[0] == keys[2] != keys[1] == keys[3]


def test_a_key_of_small_order_is_refused() -> None:
    with pytest.raises(ValueError, match="shared key"):
        agree(X25519PrivateKey.generate(), bytes(32), b"", b"")
