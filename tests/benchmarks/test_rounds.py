"""What the benchmark of rounds makes of times: medians over neighbours, one of which was guarded."""

import pytest

from benchmarks.rounds.figures import Timed, figures, is_guarded


def timed(seconds: float) -> Timed:
    return Timed(0.0, seconds, 0.0)


def test_each_two_rounds_have_one_of_each_kind_and_each_kind_is_first_as_often() -> None:
    kinds = [is_guarded(number) for number in range(1, 9)]
    assert kinds == [False, True, True, False, False, True, True, False]


def test_a_round_that_takes_longer_the_later_it_is_has_no_overhead() -> None:
    found = figures([timed(100.0 + number) for number in range(16)], unmeasured=2)
    assert found["overhead_ratio"] == pytest.approx(1.0, abs=0.001)
    assert (found["pairs"], found["overhead_seconds"]) == (6, 0.0)


def test_ratio_and_seconds_are_those_of_the_guarded_rounds() -> None:
    rounds = [timed(6.6 if is_guarded(number) else 6.0) for number in range(1, 7)]
    found = figures([timed(90.0), timed(1.0), *rounds[2:]], unmeasured=1)
    assert (found["overhead_ratio"], found["overhead_seconds"], found["within_bar"]) == (1.1, 0.6, False)
    assert (found["unguarded_s"], found["guarded_s"]) == (6.0, 6.6)
