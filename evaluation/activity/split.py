"""Who gets which recordings: each is wholly trained on, wholly tested on, or wholly the server's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from evaluation.activity.recordings import EXERCISES, Recording
from evaluation.activity.windows import Window, windows_of

HELD_OUT = 2
ROOT_WINDOWS = 8


@dataclass(frozen=True)
class Split:
    """Windows of three disjoint sets of recordings, and whose they are.

    Attributes:
        train: what devices train on.
        test: of two recordings of every watch.
        root: a few windows of one recording of each exercise, which the server trusts.
        watches: by recording, the index of the watch that made it.
    """

    train: tuple[Window, ...]
    test: tuple[Window, ...]
    root: tuple[Window, ...]
    watches: tuple[int, ...]


def split_by_recording(recordings: Sequence[Recording], seed: int) -> Split:
    """Hold out two recordings of every watch, exercises taking turns, and one of each exercise for the server.

    A watch made one recording of each exercise, so what it is tested on are exercises that only others trained.

    Args:
        recordings: one of each exercise for each arm of each subject.
        seed: fixes which are held out, and whose are the server's.

    Raises:
        ValueError: a watch did not record each exercise once.
    """
    made = _made(recordings)
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    watches = random.sample(range(len(made)), len(made))
    exercises = random.sample(range(len(EXERCISES)), len(EXERCISES))
    each = [watch for watch in watches for _ in range(HELD_OUT)]
    turns = [(watch, exercises[turn % len(exercises)]) for turn, watch in enumerate(each)]
    tested = {made[watch][exercise] for watch, exercise in turns}
    given = dict.fromkeys(watches, 0)
    rooted = []
    for exercise in exercises:
        # From whoever gave least, so that none loses much.
        giver = min((watch for watch in watches if made[watch][exercise] not in tested), key=given.__getitem__)
        given[giver] += 1
        rooted.append(made[giver][exercise])
    trained = sorted(set(range(len(recordings))) - tested - set(rooted))
    return Split(
        train=windows_of(recordings, trained),
        test=windows_of(recordings, sorted(tested)),
        root=tuple(window for index in sorted(rooted) for window in _spread(windows_of(recordings, [index]))),
        watches=tuple(_watch_of(recordings)),
    )


def _watch_of(recordings: Sequence[Recording]) -> list[int]:
    known = sorted({(recording.subject, recording.arm) for recording in recordings})
    return [known.index((recording.subject, recording.arm)) for recording in recordings]


def _made(recordings: Sequence[Recording]) -> list[Mapping[int, int]]:
    """By watch, its recordings by exercise."""
    watches = _watch_of(recordings)
    made: list[dict[int, int]] = [{} for _ in set(watches)]
    for index, (recording, watch) in enumerate(zip(recordings, watches, strict=True)):
        made[watch][recording.exercise] = index
    if not made or len(recordings) != len(made) * len(EXERCISES) or {len(one) for one in made} != {len(EXERCISES)}:
        raise ValueError(f"not one recording of each of {len(EXERCISES)} exercises for each watch")
    return list(made)


def _spread(windows: Sequence[Window]) -> Sequence[Window]:
    step = max(1, len(windows) // ROOT_WINDOWS)
    return windows[::step][:ROOT_WINDOWS]
