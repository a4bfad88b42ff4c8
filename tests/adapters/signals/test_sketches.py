"""Counts that fit in a fixed number of bits: how far off they are, and that they never grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.signals.sketches import Bitmap

places = st.lists(st.integers(-(2**63), 2**63), max_size=200)


@pytest.mark.parametrize("different", [0, 1, 10, 100, 500, 1000, 2000])
def test_an_estimate_is_close_up_to_twice_the_cells(different: int) -> None:
    bitmap = Bitmap(1024)
    for number in range(different):
        for _ in range(3):
            bitmap.mark((hash(f"thing {number}"),))
    assert bitmap.estimate() == pytest.approx(different, rel=0.15, abs=2.0)


def test_a_full_bitmap_still_says_a_number() -> None:
    bitmap = Bitmap(8)
    bitmap.mark(range(8))
    assert bitmap.share == 1.0
    assert bitmap.estimate() > 8


@given(places)
def test_the_share_lies_between_none_and_all_and_order_makes_no_difference(found: list[int]) -> None:
    one, other = Bitmap(64), Bitmap(64)
    one.mark(found)
    other.mark(reversed(found))
    assert 0.0 <= one.share == other.share <= 1.0
    assert one.share == len({place % 64 for place in found}) / 64


@given(places, places)
def test_joining_marks_what_either_marks_and_changes_neither(found: list[int], more: list[int]) -> None:
    one, other = Bitmap(64), Bitmap(64)
    one.mark(found)
    other.mark(more)
    before = one.share, other.share
    both = Bitmap(64)
    both.mark([*found, *more])
    assert one.joined(other).share == both.share
    assert (one.share, other.share) == before
