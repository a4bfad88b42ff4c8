"""The usage window counts what was asked for, forgets in time, and stays small."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.decisions.cells import OwnCells
from controlplane.decisions.usage import Reserved, Usage, UsageWindow
from tests.clocks import Clock


def test_the_first_request_finds_nothing_used() -> None:
    assert UsageWindow(Clock()).reserve("a").used == Usage(0, 0)


def test_each_request_sees_those_before_it() -> None:
    window = UsageWindow(Clock())
    assert [window.reserve("a", 10).used for _ in range(3)] == [Usage(0, 0), Usage(1, 10), Usage(2, 20)]


def test_subjects_do_not_share_a_window() -> None:
    window = UsageWindow(Clock())
    window.reserve("a", 10)
    assert window.reserve("b").used == Usage(0, 0)


def test_released_tokens_can_be_used_again() -> None:
    window = UsageWindow(Clock())
    window.release(window.reserve("a", 10))
    assert window.reserve("a").used == Usage(1, 0)


def test_what_is_released_after_its_window_is_not_given_back_to_a_later_one() -> None:
    clock = Clock()
    window = UsageWindow(clock, window_seconds=60.0)
    late = window.reserve("a", 40)
    clock.now += 61.0
    window.reserve("a", 100)
    window.release(late)
    assert window.look("a") == Usage(1, 100), "the later one is as it was, and nothing of the one before counts"
    clock.now += 60.0
    window.reserve("a", 7)
    window.release(late)
    assert window.reserve("a").used.tokens == 7 + int(100 * 59 / 60)


def test_what_is_released_after_the_clock_was_put_back_counts_on() -> None:
    clock = Clock()
    window = UsageWindow(clock, window_seconds=60.0)
    early = window.reserve("a", 40)
    clock.now -= 3599.5
    window.reserve("a", 1)
    window.release(early)
    assert window.look("a").tokens == 41


def test_what_is_released_of_a_subject_that_was_forgotten_is_given_to_nobody() -> None:
    clock = Clock()
    window = UsageWindow(clock, cells=OwnCells(1))
    forgotten = window.reserve("a", 40)
    window.reserve("b")
    window.release(forgotten)
    assert window.look("a") == Usage(0, 0)
    clock.now += 1.0
    window.reserve("a", 50)
    window.release(forgotten)
    assert window.look("a").tokens == 50


def test_usage_fades_over_the_next_window_and_is_gone_after_it() -> None:
    clock = Clock()
    window = UsageWindow(clock, window_seconds=60.0)
    for _ in range(10):
        window.reserve("a")
    clock.now += 90.0
    assert window.reserve("a").used.requests == 5
    clock.now += 121.0
    assert window.reserve("a").used.requests == 0


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
        seen = window.reserve("a").used.requests
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
        assert window.reserve("a", tokens).used == seen


@given(st.lists(st.tuples(st.floats(0.0, 90.0), st.integers(0, 50), st.integers(0, 5)), max_size=40))
def test_whatever_is_released_when_each_window_counts_what_was_granted_in_it(
    steps: list[tuple[float, int, int]],
) -> None:
    """Of each step: how long after the one before, for how many tokens, and which earlier reservation is released."""
    clock = Clock()
    window = UsageWindow(clock, window_seconds=60.0)
    kept: list[Reserved] = []
    for seconds, tokens, late in steps:
        clock.now += seconds
        if late < len(kept):
            window.release(kept.pop(late))
        reserved = window.reserve("a", tokens)
        start = reserved.starts_at
        assert start <= clock.now < start + 60.0
        now = sum(one.tokens for one in kept if one.starts_at == start)
        before = sum(one.tokens for one in kept if one.starts_at + 60.0 == start)
        assert reserved.used.tokens == now + int(before * (1.0 - (clock.now - start) / 60.0))
        kept.append(reserved)


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
    assert window.reserve("dev-1", 100).used.tokens <= 600
    clock.now += 120.0
    assert window.look("dev-1") == Usage(0, 0)
