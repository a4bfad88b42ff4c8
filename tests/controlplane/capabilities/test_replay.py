import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.capabilities.replay import ReplayCache
from tests.clocks import Clock


def test_an_identifier_passes_once_until_it_expires() -> None:
    clock = Clock(1000.0)
    cache = ReplayCache(clock)
    assert cache.use("a", 1010.0) == "first"
    clock.now = 1009.999
    assert cache.use("a", 1010.0) == "again"
    clock.now = 1010.0
    assert cache.use("a", 1010.0) == "late"


def test_expired_identifiers_make_room() -> None:
    clock = Clock(1000.0)
    cache = ReplayCache(clock, capacity=2)
    assert [cache.use(name, 1005.0) for name in "ab"] == ["first", "first"]
    clock.now = 1005.0
    assert cache.use("c", 1010.0) == "first"
    assert len(cache) == 1


def test_a_full_cache_lets_nothing_pass_and_forgets_nothing() -> None:
    cache = ReplayCache(Clock(1000.0), capacity=2)
    assert [cache.use(name, 1005.0) for name in "abca"] == ["first", "first", "full", "again"]


def test_a_clock_that_steps_back_does_not_reopen_what_was_forgotten() -> None:
    clock = Clock(1000.0)
    cache = ReplayCache(clock)
    assert cache.use("a", 1005.0) == "first"
    clock.now = 1006.0
    assert cache.use("b", 1060.0) == "first"
    clock.now = 1001.0
    assert cache.use("a", 1005.0) == "late"
    assert cache.use("c", 1060.0) == "first"


def test_a_clock_that_was_an_hour_ahead_and_is_put_right_refuses_nobody_who_is_new() -> None:
    clock = Clock(100_000.0)
    cache = ReplayCache(clock)

    def passes(seconds: int) -> list[str]:
        found = []
        for _ in range(seconds):
            clock.now += 1.0
            found.append(cache.use(f"{clock.now}", clock.now + 65.0))
        return found

    assert set(passes(300)) == {"first"}
    clock.now += 3600.0
    assert set(passes(300)) == {"first"}
    clock.now -= 3600.0
    assert set(passes(300)) == {"first"}
    for number in range(1, 901):
        assert cache.use(f"{100_000.0 + number}", 100_000.0 + number + 65.0) != "first"


def test_what_a_clock_that_was_ahead_left_behind_takes_no_room_from_what_comes() -> None:
    clock = Clock(100_000.0)
    cache = ReplayCache(clock, capacity=8)
    clock.now += 3600.0
    ahead = [(f"ahead-{number}", clock.now + 10.0 + number) for number in range(8)]
    assert {cache.use(*one) for one in ahead} == {"first"}
    clock.now -= 3600.0
    assert [cache.use(f"new-{number}", clock.now + 10.0) for number in range(9)] == ["first"] * 8 + ["full"]
    clock.now += 3600.0
    assert {cache.use(*one) for one in ahead} == {"late"}


def test_what_was_used_while_the_clock_was_ahead_does_not_pass_when_that_time_comes() -> None:
    clock = Clock(100_000.0)
    cache = ReplayCache(clock)
    used = [(f"ahead-{number}", 103_600.0 + number + 65.0) for number in range(300)]
    clock.now = 103_600.0
    for name, expiry in used:
        assert cache.use(name, expiry) == "first"
        clock.now += 1.0
    clock.now = 100_300.0
    assert cache.use("new", 100_365.0) == "first"
    for name, expiry in used:
        clock.now = expiry - 60.0
        assert cache.use(name, expiry) in {"late", "again"}
    clock.now = used[-1][1] + 1.0
    assert cache.use("after", clock.now + 65.0) == "first"


@pytest.mark.parametrize("expiry", [math.inf, -math.inf, math.nan])
def test_an_expiry_that_is_no_time_is_a_fault(expiry: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        ReplayCache(Clock(1000.0)).use("a", expiry)


def test_a_cache_without_room_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="room"):
        ReplayCache(Clock(1000.0), capacity=0)


def test_of_many_threads_one_is_first() -> None:
    cache = ReplayCache(Clock(1000.0))
    with ThreadPoolExecutor(8) as pool:
        uses = list(pool.map(lambda _: cache.use("a", 1010.0), range(400)))
    assert uses.count("first") == 1


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(1000.0, 1020.0), min_size=1),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(-20.0, 25.0)), max_size=60),
)
def test_no_identifier_ever_passes_twice(expiries: dict[str, float], steps: list[tuple[str, float]]) -> None:
    clock = Clock(1000.0)
    cache = ReplayCache(clock, capacity=4)
    passed: set[str] = set()
    for name, move in steps:
        if name in expiries and cache.use(name, expiries[name]) == "first":
            assert name not in passed
            assert clock.now < expiries[name]
            passed.add(name)
        assert len(cache) <= 4
        clock.now += move
