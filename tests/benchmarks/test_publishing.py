"""A few releases under load, start to end; how fast they decide, `benchmarks/` says."""

from benchmarks.publishing import measure


async def test_every_release_decides_and_no_request_fails_for_it() -> None:
    found = await measure(2, checked=False)
    assert found["times"] == 2
    assert found["requests"] > 0
    assert 0.0 <= found["decides_after_seconds"]["median"] <= found["decides_after_seconds"]["most"]
