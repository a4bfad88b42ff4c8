"""A small run measures everything for real; the bar itself is for `benchmarks/` to hold, on a quiet machine."""

import time

from benchmarks.capabilities import BAR_US, Size, measure, summary


def test_a_run_measures_each_part() -> None:
    run = measure(Size(count=60, devices=5), time.time())
    assert {name: len(taken) for name, taken in run.items()} == {
        "verify_us": 60,
        "verify_again_us": 55,
        "verify_again_unremembered_us": 55,
        "mint_us": 60,
        "proof_us": 60,
        "jwks_us": 200,
        "follow_rotation_us": 200,
        "rotate_us": 200,
    }
    assert all(one > 0 for taken in run.values() for one in taken)


def test_the_summary_quotes_the_median_of_the_medians_and_says_whether_the_bar_is_held() -> None:
    runs = [{"verify_us": [float(value)] * 3, "mint_us": [2.0, 1.0, 9.0]} for value in (100, 300, 200)]
    found = summary(runs)
    assert (found["verify_us"], found["mint_us"], found["within_bar"]) == (200.0, 2.0, True)
    assert summary([{"verify_us": [BAR_US + 0.1] * 3}])["within_bar"] is False
