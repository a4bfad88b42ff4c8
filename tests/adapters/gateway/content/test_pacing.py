"""A lower rate: who is slowed waits, for as long as policy said, and nobody else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.content.pacing import AT_ONCE, SLOWED_SECONDS, Pacing


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_who_is_not_slowed_never_waits() -> None:
    pacing = Pacing(Clock())
    pacing.slow("dev-1", 1)
    assert all(pacing.wait("dev-2") == 0.0 for _ in range(100))


@settings(max_examples=30)
@given(st.integers(1, 600), st.lists(st.floats(0.0, 5.0), max_size=80))
def test_no_way_of_asking_gets_more_than_the_pace(rate: int, pauses: list[float]) -> None:
    clock = Clock()
    pacing = Pacing(clock)
    pacing.slow("dev-1", rate)
    begun, taken = clock.now, 0
    for pause in pauses:
        clock.now += pause
        taken += pacing.wait("dev-1") == 0.0
        assert taken <= (clock.now - begun) * rate / 60.0 + AT_ONCE


def test_who_waits_as_long_as_told_may_ask() -> None:
    clock = Clock()
    pacing = Pacing(clock)
    pacing.slow("dev-1", 6)
    for _ in range(5):
        while (wait := pacing.wait("dev-1")) > 0.0:
            assert wait <= 20.0
            clock.now += wait


def test_a_faster_pace_does_not_undo_a_slower_one() -> None:
    clock = Clock()
    pacing = Pacing(clock)
    pacing.slow("dev-1", 1)
    pacing.slow("dev-1", 600)
    taken = 0
    for _ in range(120):
        clock.now += 1.0
        taken += pacing.wait("dev-1") == 0.0
    assert taken <= 2 + AT_ONCE


def test_it_ends() -> None:
    clock = Clock()
    pacing = Pacing(clock)
    pacing.slow("dev-1", 1)
    while pacing.wait("dev-1") == 0.0:
        pass
    clock.now += SLOWED_SECONDS
    assert all(pacing.wait("dev-1") == 0.0 for _ in range(10))


def test_of_too_many_the_one_slowed_longest_ago_is_let_go() -> None:
    pacing = Pacing(Clock(), subjects=1)
    pacing.slow("dev-1", 1)
    pacing.slow("dev-2", 1)
    assert all(pacing.wait("dev-1") == 0.0 for _ in range(5))
    assert any(pacing.wait("dev-2") > 0.0 for _ in range(5))
