"""Windows of whole days: what is counted, and when there is room again."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.confidentiality.privacy import counted, first_day, returns_on
from controlplane.contracts.privacy import Mechanism

ONE = Mechanism("local", 16.0, 1.0)
OTHER = Mechanism("local", 8.0, 1.0)
TODAY = 20_000
NOW = TODAY * 86_400 + 3600.0


def of(total: int) -> Mapping[Mechanism, int]:
    return {ONE: total} if total else {}


def test_a_window_holds_today_and_the_days_before() -> None:
    assert first_day(NOW, 1) == TODAY
    assert first_day(NOW, 30) == TODAY - 29
    assert first_day(TODAY * 86_400 - 0.001, 1) == TODAY - 1


def test_what_is_long_ago_counts_as_ever_and_in_no_window() -> None:
    days = {-1: {ONE: 5, OTHER: 1}, TODAY - 3: {ONE: 2}, TODAY: {ONE: 1}}
    assert counted(days, TODAY - 2) == {ONE: 1}
    assert counted(days, TODAY - 3) == {ONE: 3}
    assert counted(days, -10) == {ONE: 3}
    assert counted(days) == {ONE: 8, OTHER: 1}


@pytest.mark.parametrize(
    ("days", "limit", "expected"),
    [
        ({}, 1, TODAY),
        ({TODAY: of(2)}, 3, TODAY),
        ({TODAY: of(3)}, 3, TODAY + 7),
        ({TODAY - 6: of(1), TODAY: of(2)}, 3, TODAY + 1),
        ({TODAY - 6: of(1), TODAY: of(3)}, 3, TODAY + 7),
        ({TODAY - 7: of(9), TODAY: of(2)}, 3, TODAY),
        ({-1: of(9), TODAY: of(2)}, 3, TODAY),
        ({}, 0, None),
    ],
)
def test_there_is_room_as_soon_as_enough_is_over(
    days: dict[int, dict[Mechanism, int]], limit: int, expected: int | None
) -> None:
    assert returns_on(days, NOW, 7, lambda counts: sum(counts.values()) < limit) == expected


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(TODAY - 12, TODAY), st.integers(1, 4).map(of), max_size=8),
    st.integers(1, 12),
    st.integers(1, 10),
)
def test_the_day_that_is_told_is_the_first_on_which_there_is_room(
    days: dict[int, dict[Mechanism, int]], limit: int, window: int
) -> None:
    def fits(counts: Mapping[Mechanism, int]) -> bool:
        return sum(counts.values()) < limit

    found = returns_on(days, NOW, window, fits)
    assert found is not None
    for day in range(TODAY, found + 1):
        assert fits(counted(days, first_day(day * 86_400, window))) == (day == found)
