"""A small replay, start to end; how fast it is, `benchmarks/` says."""

from benchmarks.replay import measure


def test_every_recorded_decision_is_decided_again() -> None:
    found = measure(3000)
    assert found["decisions"] == 3000
    assert found["changes"]["newly_denied"] > 0
    assert found["changes"]["newly_allowed"] == 0
    assert found["per_second"] > 0
