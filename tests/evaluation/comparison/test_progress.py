"""What is told of how far a comparison is."""

from io import StringIO

from evaluation.comparison.progress import Progress, minutes
from tests.evaluation.comparison.tiny import cell


def test_the_time_left_goes_by_what_federations_cost_not_by_how_many_there_are() -> None:
    clock = iter([0.0, 10.0, 40.0])
    to = StringIO()
    progress = Progress(costs=400.0, count=3, to=to, clock=lambda: next(clock))
    assert progress.expected(2) == "3 min"
    progress.told(cell(), 100.0, "well")
    progress.told(cell(), 200.0, "badly")
    first, second = to.getvalue().splitlines()
    # 10 s for a quarter leaves 30; 40 s for three quarters leaves 13.
    assert first == "1 of 3, about 30 s left: tiny, push, averaging, Dirichlet 0.5, 20%, seed 0: well"
    assert second.startswith("2 of 3, about 13 s left: ") and second.endswith(": badly")


def test_times_are_said_as_people_do() -> None:
    assert (minutes(89.0), minutes(90.0), minutes(3000.0), minutes(-1.0)) == ("89 s", "2 min", "50 min", "0 s")
