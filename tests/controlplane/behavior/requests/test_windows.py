"""Requests are folded by subject and window; whatever comes, memory stays bounded and nothing goes uncounted."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.requests import Observation, Windows
from controlplane.behavior.requests.windows import NETWORKS, PAIRS
from tests.controlplane.behavior.requests.traffic import MONDAY


def seen(time: float = MONDAY, subject: str = "dev-1", **changes: object) -> Observation:
    return Observation(time, subject, "homes", "inference", "model-a", "10.20.0.1", True)._replace(**changes)  # type: ignore[arg-type]


def test_a_window_says_what_each_subject_asked() -> None:
    windows = Windows(60.0)
    for one in (seen(), seen(allowed=False), seen(resource="model-b", address="10.20.9.1"), seen(subject="dev-2")):
        assert windows.fold(one) is None
    closed = windows.close(MONDAY + 60.0)
    assert closed is not None
    assert (closed.started_at, closed.seconds, sorted(closed.subjects)) == (MONDAY, 60.0, ["dev-1", "dev-2"])
    one = closed.subjects["dev-1"]
    assert (one.requests, one.denied, len(one.pairs), len(one.networks)) == (3, 1, 2, 2)
    assert windows.close(MONDAY + 120.0) is None


def test_a_request_of_the_next_window_closes_the_one_before() -> None:
    windows = Windows(60.0)
    windows.fold(seen())
    closed = windows.fold(seen(MONDAY + 60.0))
    assert closed is not None
    assert closed.subjects["dev-1"].requests == 1
    assert windows.close(MONDAY + 120.0) is not None


def test_a_request_that_comes_too_late_is_dropped_and_counted() -> None:
    windows = Windows(60.0)
    windows.fold(seen(MONDAY + 60.0))
    assert windows.fold(seen(MONDAY + 59.0)) is None
    assert (windows.folded, windows.dropped) == (1, 1)


def test_subjects_beyond_the_bound_are_dropped_and_counted() -> None:
    windows = Windows(60.0, most=3)
    for number in range(10):
        windows.fold(seen(subject=f"dev-{number % 5}"))
    assert (windows.folded, windows.dropped) == (6, 4)


def test_resources_and_networks_beyond_the_bound_count_as_one_and_as_none() -> None:
    windows = Windows(60.0)
    for number in range(500):
        windows.fold(seen(resource=f"model-{number}", address=f"10.{number % 256}.{number // 256}.1"))
    closed = windows.close(MONDAY + 60.0)
    assert closed is not None
    window = closed.subjects["dev-1"]
    assert (window.requests, len(window.pairs), len(window.networks)) == (500, PAIRS + 1, NETWORKS)
    assert window.pairs.total() == 500


@given(st.lists(st.tuples(st.floats(0.0, 600.0), st.integers(0, 5), st.booleans()), max_size=100))
def test_every_request_is_folded_once_or_counted_as_dropped(asked: list[tuple[float, int, bool]]) -> None:
    windows = Windows(60.0)
    closed = [
        windows.fold(seen(MONDAY + time, f"dev-{number}", allowed=is_allowed)) for time, number, is_allowed in asked
    ]
    closed.append(windows.close(MONDAY + 10_000.0))
    counted = sum(window.requests for one in closed if one for window in one.subjects.values())
    assert counted == windows.folded
    assert windows.folded + windows.dropped == len(asked)
