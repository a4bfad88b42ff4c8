"""What the recordings are, and that their pickle can build arrays and nothing else."""

import io
import os
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evaluation.activity.recordings import CHANNELS, EXERCISES, Recording, read_arrays, recordings_of


def npy(held: object) -> bytes:
    """An npy file that holds one pickled object."""
    file = io.BytesIO()
    np.save(file, np.array(held, dtype=object), allow_pickle=True)
    return file.getvalue()


def data(**changed: Any) -> dict[str, Any]:
    """The data's own form, with one recording."""
    found = {"X": [np.zeros((5, 6))], "y": np.array([2]), "subject": np.array([7]), "side": np.array([1.0])}
    return {**found, "X_labels": list(CHANNELS), "y_labels": list(EXERCISES), **changed}


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("echo harm",)


def test_there_are_seven_exercises_of_each_arm_of_ten_people(recordings: tuple[Recording, ...]) -> None:
    made = Counter((recording.subject, recording.arm, recording.exercise) for recording in recordings)
    assert len(recordings) == len(made) == 140
    assert {subject for subject, _, _ in made} == set(range(1, 11))
    assert all(recording.signal.shape[1] == 6 and len(recording.signal) > 900 for recording in recordings)


def test_what_numpy_writes_is_read_back() -> None:
    found = read_arrays(npy(data()))
    assert found["y"].tolist() == [2]
    assert recordings_of(found)[0].arm == "right"


@pytest.mark.parametrize("held", [{"X": Harmful()}, {"X": np.array([Harmful()], dtype=object)}, {"X": print}])
def test_a_pickle_that_asks_for_anything_but_arrays_is_refused(held: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="no part of an array"):
        read_arrays(npy(held))


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x09\x00", npy([1, 2])])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_arrays(content)


@pytest.mark.parametrize(
    "changed",
    [
        {"X": [np.zeros((5, 5))]},
        {"X": [np.full((5, 6), np.nan)]},
        {"y": np.array([7])},
        {"side": np.array([0.5])},
        {"y_labels": ["PEN"]},
        {"subject": np.array([1, 2])},
    ],
)
def test_data_of_another_form_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        recordings_of(data(**changed))
