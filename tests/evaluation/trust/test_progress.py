import io

from evaluation.trust.progress import Progress
from tests.evaluation.trust.samples import guarded, unguarded


def test_each_line_says_how_far_it_is_and_how_long_it_takes_from_here() -> None:
    to, times = io.StringIO(), iter([0.0, 60.0, 80.0, 90.0])
    progress = Progress(3, to, lambda: next(times))
    for result in (unguarded(), guarded(), guarded()):
        progress.told(result)
    first, second, third = to.getvalue().splitlines()
    assert first == (
        "1 of 3, about 2 min left: unguarded, backdoor, skew 0.5, seed 1: accuracy 0.800, attack success 1.000"
    )
    assert second.startswith("2 of 3, about 40 s left: guarded,")
    assert third.startswith("3 of 3, about 0 s left:")
