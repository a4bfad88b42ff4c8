"""A small run asks replicas for real; what sharing costs, `benchmarks/` says."""

import pytest

from benchmarks.postgres import lacks_postgres
from benchmarks.replicas import Size, Way, measure, summary


@pytest.mark.skipif(bool(lacks_postgres()), reason=lacks_postgres())
async def test_a_run_asks_a_replica_that_shares_limits() -> None:
    size = Size(requests=64, rate=40.0, seconds=0.5, connections=4, devices=8, runs=1)
    (found,) = await measure(size, [(1, "store")])
    assert (found.replicas, found.limits) == (1, "store")
    assert min(found.rps, found.p99_ms, found.rated_p50_ms, found.cpu_us, found.database_cpu_us) > 0


def test_the_summary_says_what_sharing_costs() -> None:
    ways = [
        Way(1, "machine", 400.0, 90.0, 8.0, 20.0, 1500.0, 100.0),
        Way(1, "store", 300.0, 99.0, 9.5, 25.0, 1900.5, 300.0),
    ]
    found = summary(Size(), ways)
    assert (found["cost_us_1"], found["added_p50_ms_1"]) == (400.5, 1.5)
    assert found["store_1"]["rps"] == 300.0
