"""A small run enrols a fleet for real; how fast that goes, `benchmarks/` says."""

from benchmarks.fleet import Size, measure, summary


def test_a_run_enrols_a_fleet() -> None:
    size = Size(devices=12, at_once=4, runs=2)
    runs = measure(size)
    assert len(runs) == 2
    assert all(one > 0 for one in runs)


def test_the_summary_quotes_the_median() -> None:
    found = summary(Size(devices=9, at_once=3, runs=3), [10.0, 90.0, 20.0])
    assert (found["enrolled_per_second"], found["devices"], found["at_once"]) == (20.0, 9, 3)
