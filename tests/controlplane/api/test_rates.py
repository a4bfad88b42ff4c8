"""A token bucket admits a burst, then a rate, and forgets no more than it must."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.rates import RateLimit
from controlplane.decisions.cells import OwnCells
from tests.clocks import Clock


def test_a_burst_is_admitted_and_then_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(clock, rate=2.0, burst=3.0)
    assert [limit.take("a") for _ in range(3)] == [0.0] * 3
    assert limit.take("a") == pytest.approx(0.5)
    clock.now += 0.5
    assert limit.take("a") == 0.0
    assert limit.take("a") > 0.0


def test_looking_takes_nothing() -> None:
    limit = RateLimit(Clock(), rate=1.0, burst=1.0)
    assert [limit.wait("a") for _ in range(5)] == [0.0] * 5
    assert limit.take("a") == 0.0
    assert limit.wait("a") == pytest.approx(1.0)


def test_names_do_not_share_a_bucket() -> None:
    limit = RateLimit(Clock(), rate=1.0, burst=1.0)
    assert (limit.take("a"), limit.take("b")) == (0.0, 0.0)


def test_memory_is_bounded_and_the_least_recent_goes_first() -> None:
    cells = OwnCells(3)
    limit = RateLimit(Clock(), rate=1.0, burst=1.0, cells=cells)
    for name in "abcad":
        limit.take(name)
    assert len(cells) == 3
    assert limit.wait("a") > 0.0, "one that came again was forgotten"
    assert limit.wait("b") == 0.0


def test_a_clock_that_steps_back_locks_nobody_out() -> None:
    clock = Clock()
    limit = RateLimit(clock, rate=1.0, burst=2.0)
    limit.take("a")
    clock.now -= 3600.0
    assert limit.take("a") == 0.0
    assert limit.wait("a") <= 1.0


@given(st.lists(st.floats(min_value=0.0, max_value=2.0), max_size=100))
def test_no_more_is_admitted_than_burst_and_rate_allow(gaps: list[float]) -> None:
    clock = Clock()
    limit = RateLimit(clock, rate=3.0, burst=5.0)
    admitted = 0
    for gap in gaps:
        clock.now += gap
        admitted += limit.take("a") == 0.0
    assert admitted <= 5.0 + 3.0 * sum(gaps) + 1e-6


def test_what_a_request_cost_beyond_itself_is_paid_before_the_next() -> None:
    clock = Clock()
    limit = RateLimit(clock, rate=2.0, burst=5.0)
    assert limit.take("a") == 0.0
    limit.charge("a", 10)
    assert limit.wait("a") == pytest.approx(3.5)
    clock.now += 3.5
    assert limit.take("a") == 0.0
    assert limit.wait("b") == 0.0
