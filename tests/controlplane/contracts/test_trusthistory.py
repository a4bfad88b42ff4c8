"""How trust moved lately: what was low stays known for a week, and a fall is a fall."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.behavior.trust import counted, lower_bound
from controlplane.contracts.behaviour import BehaviourTerms
from controlplane.contracts.trusthistory import DAY_SECONDS, HISTORY_DAYS, TrustHistory
from tests.controlplane.behaving import TERMS

NOW = 1_767_225_600.0 + 9 * 3600
WEEK = HISTORY_DAYS * DAY_SECONDS


def test_trust_that_rises_stays_steady_and_one_that_falls_does_not() -> None:
    begun = TrustHistory.of(0.5, NOW)
    risen = begun.after(0.6, NOW + 10).after(0.6, NOW + 20)
    assert (risen.begun, risen.steady_since, risen.lowest(NOW + 20)) == (NOW, NOW, 0.5)
    fallen = risen.after(0.59, NOW + 30).after(0.9, NOW + 40)
    assert (fallen.begun, fallen.steady_since, fallen.lowest(NOW + 40)) == (NOW, NOW + 30, 0.5)


def test_what_was_low_is_known_for_a_week_and_not_for_ever() -> None:
    history = TrustHistory.of(0.9, NOW).after(0.2, NOW + 60).after(0.8, NOW + 120)
    assert history.lowest(NOW + 120 + WEEK) == 0.2
    assert history.lowest(NOW + 120 + WEEK + DAY_SECONDS) == 0.8


def test_trust_that_stayed_low_without_a_change_counts_until_it_rose() -> None:
    low = TrustHistory.of(0.2, NOW)
    risen = low.after(0.8, NOW + 30 * DAY_SECONDS)
    assert risen.lowest(NOW + 31 * DAY_SECONDS) == 0.2, "it was low until a day ago"
    assert risen.lowest(NOW + 38 * DAY_SECONDS) == 0.8


def test_a_day_by_a_clock_that_is_ahead_is_not_lost() -> None:
    ahead = TrustHistory.of(0.9, NOW).after(0.1, NOW + DAY_SECONDS).after(0.9, NOW + DAY_SECONDS)
    assert ahead.after(0.9, NOW).lowest(NOW) == 0.1


def test_a_history_of_other_trust_or_that_is_damaged_is_none() -> None:
    kept = TrustHistory.of(0.5, NOW).after(0.6, NOW + 1).model_dump_json()
    found = TrustHistory.read(kept, 0.6)
    assert found is not None
    assert found.model_dump_json() == kept
    for broken, score in [(kept, 0.7), (None, 0.6), ("", 0.6), ("{}", 0.6), (kept.replace("begun", "began"), 0.6)]:
        assert TrustHistory.read(broken, score) is None


moments = st.floats(0.0, 12 * DAY_SECONDS)


@given(steps=st.lists(st.tuples(moments, st.floats(0.0, 1.0)), max_size=20), passed=moments)
@settings(max_examples=100, deadline=None)
def test_nothing_of_the_last_seven_days_is_missed_and_the_size_is_bounded(
    steps: list[tuple[float, float]], passed: float
) -> None:
    steps = sorted((NOW + after, score) for after, score in steps)
    now = max([NOW, *(when for when, _ in steps)]) + passed
    history, seen = TrustHistory.of(0.5, NOW), [(NOW, 0.5)]
    for when, score in steps:
        history = history.after(score, when)
        seen.append((when, score))
    ends = [when for when, _ in seen[1:]] + [now]
    held = [score for (_, score), end in zip(seen, ends, strict=True) if end >= now - WEEK]
    assert history.lowest(now) <= min(held)
    assert history.lowest(now) >= min(score for _, score in seen)
    falls = [when for (_, before), (when, score) in pairwise(seen) if score < before - 1e-9]
    assert history.steady_since == max([NOW, *falls])
    assert len(history.lows) <= HISTORY_DAYS + 1
    assert TrustHistory.read(history.model_dump_json(), history.score) == history


def test_a_device_that_is_as_its_peers_are_never_falls_by_rounding() -> None:
    terms = BehaviourTerms.model_validate(TERMS)
    for worth in {1.0, *terms.worth.values()}:
        conforming, deviating = terms.newcomer, 0.0
        history = TrustHistory.of(lower_bound(conforming, deviating, terms.confidence), NOW)
        for step in range(2000):
            conforming, deviating = counted(conforming, deviating, 0.9, terms, worth)
            history = history.after(lower_bound(conforming, deviating, terms.confidence), NOW + step)
        assert history.steady_since == NOW
