"""A small run of the benchmark measures both sides for real; what it measures is for `benchmarks/` to say."""

from benchmarks.decisions import Figures, Run, Setting, Size, measure, summary


async def test_a_run_measures_the_control_plane_and_raw_opa() -> None:
    (run,), workers = await measure(1, Size(requests=120, connections=8, devices=30), Setting(workers=2))
    assert workers == 2
    assert {"opa", "control plane"} < run.control_plane.cpu_us_by.keys()
    assert len(run.control_plane.cpu_us_by) == 4
    assert run.control_plane.rps > 0
    assert run.raw_opa.rps > 0
    assert run.raw_opa.cpu_us > 0
    assert run.control_plane.p99_ms >= run.control_plane.p50_ms


def test_the_summary_quotes_the_median_of_the_ratios() -> None:
    raw = Figures(100.0, 1.0, 10.0, 1.0, {}, 1.0)
    runs = [Run(Figures(rps, 1.0, p99, 1.0, {}, 1.0), raw) for rps, p99 in ((50, 1), (90, 5), (70, 3))]
    found = summary(runs, 2)
    assert found["workers"] == 2
    assert (found["ratio_rps"], found["ratio_p99"]) == (0.7, 0.3)
