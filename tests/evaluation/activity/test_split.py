"""No recording is on two sides, and every watch is tested."""

from collections import Counter
from collections.abc import Iterable

import pytest

from evaluation.activity.recordings import EXERCISES, Recording
from evaluation.activity.split import HELD_OUT, ROOT_WINDOWS, split_by_recording
from evaluation.activity.windows import Window


def of(windows: Iterable[Window]) -> set[int]:
    return {window.recording for window in windows}


@pytest.mark.parametrize("seed", range(20))
def test_no_recording_is_on_two_sides_and_each_watch_is_tested_on_two(
    made_up: tuple[Recording, ...], seed: int
) -> None:
    split = split_by_recording(made_up, seed)
    train, test, root = of(split.train), of(split.test), of(split.root)
    assert not train & test and not train & root and not test & root
    assert len(train | test | root) == len(made_up)
    assert Counter(split.watches[index] for index in test) == dict.fromkeys(range(8), HELD_OUT)
    assert {made_up[index].exercise for index in test} == set(range(len(EXERCISES)))
    assert sorted(made_up[index].exercise for index in root) == list(range(len(EXERCISES)))
    assert len(split.root) <= ROOT_WINDOWS * len(EXERCISES)


def test_real_exercises_are_tested_about_equally_often(recordings: tuple[Recording, ...]) -> None:
    split = split_by_recording(recordings, 0)
    tested = Counter(recordings[index].exercise for index in of(split.test))
    assert sum(tested.values()) == 40
    assert set(tested.values()) == {5, 6}


def test_the_seed_decides_who_is_tested_on_what(made_up: tuple[Recording, ...]) -> None:
    assert split_by_recording(made_up, 1) == split_by_recording(made_up, 1)
    assert split_by_recording(made_up, 1).test != split_by_recording(made_up, 2).test


def test_a_watch_that_lacks_an_exercise_is_said(made_up: tuple[Recording, ...]) -> None:
    with pytest.raises(ValueError, match="not one recording of each"):
        split_by_recording(made_up[:-1], 0)
