"""The usage window counts what was asked for, forgets in time, and stays small."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.decisions.cells import OwnCells
from controlplane.decisions.usage import Usage, UsageWindow
from tests.clocks import Clock


def test_the_first_request_finds_nothing_used() -> None:
    assert UsageWindow(Clock()).reserve("a") == Usage(0, 0)


def test_each_request_sees_those_before_it() -> None:
    window = UsageWindow(Clock())
    assert [window.reserve("a", 10) for _ in range(3)] == [Usage(0, 0), Usage(1, 10), Usage(2, 20)]


def test_subjects_do_not_share_a_window() -> None:
    window = UsageWindow(Clock())
    window.reserve("a", 10)
    assert window.reserve("b") == Usage(0, 0)


def test_released_tokens_can_be_used_again() -> None:
    window = UsageWindow(Clock())
    window.reserve("a", 10)
    window.release("a", 10)
    assert window.reserve("a").tokens == 0


def test_usage_fades_over_the_next_window_and_is_gone_after_it() -> None:
    clock = Clock()
    window = UsageWindow(clock, window_seconds=60.0)
    for _ in range(10):
        window.reserve("a")
    clock.now += 90.0
    assert window.reserve("a").requests == 5
    clock.now += 121.0
    assert window.reserve("a").requests == 0


def test_memory_is_bounded_by_the_capacity() -> None:
    cells = OwnCells(10)
    window = UsageWindow(Clock(), cells=cells)
    for number in range(1000):
        window.reserve(f"s{number}")
    assert len(cells) == 10


@given(st.lists(st.floats(min_value=0.0, max_value=40.0), max_size=60))
def test_no_burst_within_a_window_goes_uncounted(gaps: list[float]) -> None:
    clock = Clock()
    window = UsageWindow(clock, window_seconds=60.0)
    times: list[float] = []
    for gap in gaps:
        clock.now += gap
        seen = window.reserve("a").requests
        since_start = [time for time in times if time >= clock.now - 0.0]
        assert seen >= len(since_start)
        assert seen <= len([time for time in times if time > clock.now - 120.0])
        times.append(clock.now)


def test_looking_counts_nothing_and_remembers_nobody() -> None:
    cells = OwnCells(10)
    window = UsageWindow(Clock(), cells=cells)
    window.reserve("a", 10)
    assert [window.look("a") for _ in range(3)] == [Usage(1, 10)] * 3
    assert window.look("stranger") == Usage(0, 0)
    assert len(cells) == 1


@given(st.lists(st.tuples(st.floats(0.0, 90.0), st.integers(0, 50)), max_size=30))
def test_looking_sees_what_a_request_would_see(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    window = UsageWindow(clock)
    for seconds, tokens in steps:
        clock.now += seconds
        seen = window.look("a")
        assert window.reserve("a", tokens) == seen


def test_a_clock_that_steps_back_an_hour_neither_forgets_nor_locks_anybody_out() -> None:
    clock = Clock(10_000.0)
    window = UsageWindow(clock)
    for _ in range(5):
        window.reserve("dev-1", 100)
    clock.now += 60.0
    window.reserve("dev-1", 100)
    clock.now -= 3600.0
    used = window.look("dev-1")
    assert 1 <= used.requests <= 6
    assert window.reserve("dev-1", 100).tokens <= 600
    clock.now += 120.0
    assert window.look("dev-1") == Usage(0, 0)
