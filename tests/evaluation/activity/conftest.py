"""The watches' recordings, fetched once for all workers, and a made-up fleet that is quick to train."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.activity.recordings import EXERCISES, Arm, Recording, load_recordings
from evaluation.activity.wheel import RecordingsError, wheel_in

CACHE = Path(__file__).parents[3] / ".cache" / "activity"
SAMPLES = 300
HELD = np.array([0.0, 0.4, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="session")
def recordings() -> tuple[Recording, ...]:
    """The real ones."""
    try:
        wheel_in(CACHE)
    except RecordingsError as error:
        if "could not fetch" not in str(error):
            raise
        pytest.skip(str(error))
    return load_recordings(CACHE)


@pytest.fixture(scope="session")
def made_up() -> tuple[Recording, ...]:
    """Four people's, each exercise a wave of its own frequency on every channel, and a way to hold the arm."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES)[:, None] / 50
    arms: tuple[Arm, ...] = ("left", "right")
    found = []
    for subject in (3, 1, 2, 4):
        for arm in arms:
            for exercise in range(len(EXERCISES)):
                wave = np.sin(2 * np.pi * (exercise + 1) * time + rng.uniform(0, 6, 6))
                noise = rng.normal(0, 0.1, (SAMPLES, 6))
                found.append(Recording(subject, arm, exercise, (wave + noise + HELD * exercise).astype(np.float32)))
    return tuple(found)
