"""Shares of a secret."""

import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation.shamir import PRIME, SHARE_BYTES, combine, share


def test_the_field_is_of_a_prime_above_every_secret() -> None:
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    assert PRIME > 2**256 - 1
    for base in range(2, 40):
        powers = [pow(base, odd << step, PRIME) for step in range(twos)]
        assert powers[0] == 1 or PRIME - 1 in powers


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 8), st.integers(0, 5), st.randoms(use_true_random=False))
def test_any_shares_as_many_as_the_threshold_give_the_secret(secret: bytes, threshold: int, more: int, picks) -> None:  # type: ignore[no-untyped-def]
    shares = dict(enumerate(share(secret, threshold, threshold + more, secrets.token_bytes), start=1))
    some = dict(picks.sample(sorted(shares.items()), threshold))
    assert combine(some, threshold) == secret
    assert all(len(one) == SHARE_BYTES for one in shares.values())


def test_fewer_shares_fit_every_secret_alike() -> None:
    shares = dict(enumerate(share(b"\x07" * 32, 3, 5, secrets.token_bytes), start=1))
    # With two shares of three, any secret has a third share that leads to it.
    for wanted in (0, 1, 2**256 - 1):
        points = {1: int.from_bytes(shares[1], "big"), 2: int.from_bytes(shares[2], "big")}
        third = (wanted - 3 * points[1] + 3 * points[2]) % PRIME
        found = {**{point: shares[point] for point in (1, 2)}, 3: third.to_bytes(SHARE_BYTES, "big")}
        assert combine(found, 3) == wanted.to_bytes(32, "big")


def test_a_wrong_share_gives_another_secret_or_none() -> None:
    shares = dict(enumerate(share(b"\x07" * 32, 3, 3, secrets.token_bytes), start=1))
    shares[2] = (int.from_bytes(shares[2], "big") ^ 1).to_bytes(SHARE_BYTES, "big")
    assert combine(shares, 3) != b"\x07" * 32


@pytest.mark.parametrize(
    ("shares", "threshold"),
    [
        ({1: bytes(33)}, 2),
        ({}, 0),
        ({0: bytes(33), 1: bytes(33)}, 2),
        ({1: PRIME.to_bytes(33, "big"), 2: bytes(33)}, 2),
    ],
)
def test_too_few_shares_and_shares_of_another_field_are_refused(shares: dict[int, bytes], threshold: int) -> None:
    with pytest.raises(ValueError, match="share"):
        combine(shares, threshold)


@pytest.mark.parametrize(("length", "threshold", "holders"), [(31, 1, 1), (33, 1, 1), (32, 0, 3), (32, 4, 3)])
def test_a_secret_of_another_length_or_a_threshold_out_of_bounds_is_refused(
    length: int, threshold: int, holders: int
) -> None:
    with pytest.raises(ValueError, match="secret"):
        share(bytes(length), threshold, holders, secrets.token_bytes)
