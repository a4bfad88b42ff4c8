"""What counters counted between two readings, and the quantiles of what a histogram saw meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from controlplane.cli.exposition import Change, parse


def counted(at: float, **values: float) -> Change:
    registry = CollectorRegistry()
    counter = Counter("ztfm_decisions_total", "Decisions", ["outcome"], registry=registry)
    for outcome, value in values.items():
        counter.labels(outcome).inc(value)
    return Change(None, parse(generate_latest(registry).decode(), at))


def test_a_rate_is_what_was_counted_a_second() -> None:
    change = Change(counted(10.0, allow=5, deny=1).new, counted(14.0, allow=25, deny=3).new)
    assert change.seconds == 4.0
    assert change.rate("ztfm_decisions_total") == 5.5
    assert change.rate("ztfm_decisions_total", outcome="deny") == 0.5
    assert change.rate("ztfm_decisions_total", outcome="error") == 0.0
    assert change.new.total("ztfm_decisions_total", outcome="allow") == 25


def test_one_reading_has_totals_and_no_rate() -> None:
    change = counted(10.0, allow=5)
    assert (change.seconds, change.rate("ztfm_decisions_total")) == (None, None)
    assert change.quantile("ztfm_decision_duration_seconds", 0.5) is None


def test_a_counter_that_began_anew_counts_from_nothing_and_never_backwards() -> None:
    change = Change(counted(10.0, allow=500).new, counted(12.0, allow=4, deny=2).new)
    assert change.rate("ztfm_decisions_total") == 3.0


def histogram(values: list[float], at: float) -> Change:
    registry = CollectorRegistry()
    seen = Histogram("seconds", "Seconds", ["action"], registry=registry, buckets=(1.0, 2.0, 4.0))
    for place, value in enumerate(values):
        seen.labels(f"a{place % 2}").observe(value)
    return Change(None, parse(generate_latest(registry).decode(), at))


def test_a_quantile_is_of_the_window_alone_and_over_all_series() -> None:
    old = histogram([0.5, 0.5], 0.0)
    new = histogram([0.5, 0.5, 3.0, 3.0, 3.0, 3.0], 1.0)
    change = Change(old.new, new.new)
    assert change.quantile("seconds", 0.5) == pytest.approx(3.0)
    assert Change(new.new, histogram([0.5, 0.5, 3.0, 3.0, 3.0, 3.0], 2.0).new).quantile("seconds", 0.99) is None


def test_what_lies_above_all_bounds_is_told_as_the_highest() -> None:
    change = Change(histogram([], 0.0).new, histogram([9.0], 1.0).new)
    assert change.quantile("seconds", 0.5) == 4.0


@given(st.lists(st.floats(min_value=0.001, max_value=10.0), min_size=1, max_size=30), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    found = Change(histogram([], 0.0).new, histogram(values, 1.0).new).quantile("seconds", share)
    assert found is not None
    rank = max(1, -int(-share * len(values) // 1))
    true = sorted(values)[rank - 1]
    bounds = [0.0, 1.0, 2.0, 4.0]
    low = max(bound for bound in bounds if bound < true or bound == 0.0)
    high = min((bound for bound in bounds if bound >= true), default=4.0)
    assert min(low, 4.0) - 1e-9 <= found <= max(high, low) + 1e-9


def test_what_is_no_exposition_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse("ztfm_decisions_total{outcome=", 0.0)
