"""A small run enrols a fleet for real; how fast that goes, `benchmarks/` says."""

from benchmarks.fleet import Run, Size, measure, summary


def test_a_run_enrols_a_fleet() -> None:
    size = Size(devices=12, at_once=4, runs=2)
    runs = measure(size)
    assert len(runs) == 2
    assert all(min(one.per_second, one.station_cpu_ms, one.control_plane_cpu_ms) > 0 for one in runs)


def test_the_summary_quotes_the_median() -> None:
    found = summary(Size(devices=9, at_once=3, runs=3), [Run(10.0, 3.0, 9.0), Run(90.0, 1.0, 7.0), Run(20.0, 2.0, 8.0)])
    assert (found["enrolled_per_second"], found["devices"], found["at_once"]) == (20.0, 9, 3)
    assert (found["station_cpu_ms"], found["control_plane_cpu_ms"]) == (2.0, 8.0)
