"""Everything that a seed fixes before the first round: who holds what, and how success is judged."""

from dataclasses import dataclass
from pathlib import Path

from evaluation.activity.network import Network
from evaluation.activity.poison import knocked
from evaluation.activity.recordings import EXERCISES, load_recordings
from evaluation.activity.split import Split, split_by_recording
from evaluation.activity.wheel import CACHE
from evaluation.activity.windows import Signals, Window
from evaluation.smart_home.split import dirichlet_shards

TARGET = EXERCISES.index("ROW")
TEST_SEED_OFFSET = 10_007


@dataclass(frozen=True)
class Activity:
    """One fleet of watches, before anything is trained.

    Attributes:
        seed: fixes all the rest.
        skew: Dirichlet parameter of a device's exercises; none where each device is one of the watches.
        signals: of all windows.
        split: training, test and root windows.
        shards: each device's own windows.
        knocked_test: every other test window, with the trigger in it; none of the target's own.
    """

    seed: int
    skew: float | None
    signals: Signals
    split: Split
    shards: tuple[tuple[Window, ...], ...]
    knocked_test: tuple[Window, ...]

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return len(self.shards)

    def network(self) -> Network:
        """A fresh network as it is before the first round."""
        return Network(len(EXERCISES), self.seed)


def load_activity(seed: int, skew: float | None = None, cache: Path = CACHE) -> Activity:
    """Build the task of ``seed``; the recordings are fetched into ``cache`` where they are not there yet.

    Args:
        seed: fixes all of it.
        skew: none for the watches as they are: each device has one arm's recordings. A number shares all training
            windows out among as many devices, each with its own mix of exercises, drawn from Dirichlet(``skew``).
        cache: folder for the recordings.

    Raises:
        RecordingsError: they cannot be had.
    """
    recordings = load_recordings(cache)
    split = split_by_recording(recordings, seed)
    devices = len(set(split.watches))
    return Activity(
        seed=seed,
        skew=skew,
        signals=Signals(recordings, sorted({window.recording for window in split.train})),
        split=split,
        shards=_by_watch(split, devices)
        if skew is None
        else dirichlet_shards(split.train, devices, alpha=skew, seed=seed),
        knocked_test=knocked(split.test[::2], TARGET, seed=seed + TEST_SEED_OFFSET),
    )


def _by_watch(split: Split, devices: int) -> tuple[tuple[Window, ...], ...]:
    shards: list[list[Window]] = [[] for _ in range(devices)]
    for window in split.train:
        shards[split.watches[window.recording]].append(window)
    return tuple(map(tuple, shards))
