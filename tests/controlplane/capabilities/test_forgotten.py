"""Spans hold whatever was forgotten, at every moment, and little else."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.forgotten import FREE, SPANS, Span, changes, holds

EXPIRIES = st.lists(st.integers(1, 2_000), max_size=60)


def forgotten(expiries: list[int]) -> list[Span]:
    spans = [FREE] * SPANS
    for expiry in expiries:
        for index, span in changes(spans, expiry):
            spans[index] = span
    return spans


@given(EXPIRIES)
def test_whatever_was_forgotten_is_held_also_in_the_middle_of_a_change(expiries: list[int]) -> None:
    spans = [FREE] * SPANS
    for number, expiry in enumerate(expiries):
        for index, span in changes(spans, expiry):
            spans[index] = span
            assert all(holds(spans, earlier) for earlier in expiries[:number])
        assert holds(spans, expiry)


@given(EXPIRIES)
def test_spans_are_few_and_do_not_overlap(expiries: list[int]) -> None:
    spans = sorted(span for span in forgotten(expiries) if span != FREE)
    assert len(spans) <= SPANS
    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_times_that_lie_far_apart_stay_apart_however_little_happens_in_them() -> None:
    here, ahead, back = range(1_000, 4_000, 300), range(90_000, 93_000, 300), range(4_000, 7_000, 300)
    spans = forgotten([*here, *ahead, *back])
    assert not any(holds(spans, moment) for moment in range(7_000, 90_000, 100))
    assert all(holds(spans, moment) for moment in (*here, *ahead, *back))


def test_of_more_times_than_there_are_spans_the_nearest_become_one() -> None:
    spans = forgotten([1_000, 2_000, 50_000, 90_000])
    assert sorted(spans) == [(1_000, 2_000), (50_000, 50_000), (90_000, 90_000)]
    assert sorted(forgotten([1_000, 50_000, 90_000, 89_000])) == [(1_000, 1_000), (50_000, 50_000), (89_000, 90_000)]
