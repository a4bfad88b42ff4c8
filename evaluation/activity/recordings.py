"""The recordings: six-axis signals of a smartwatch while ten people exercise their shoulders, each arm on its own.

Burns, Leung, Hardisty, Whyne, Henry and McLachlin, "Shoulder physiotherapy exercise recognition" (arXiv 1802.01489),
as the package seglearn ships them (BSD, copyright 2018 David M. Burns).
"""

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.activity.wheel import CACHE, RecordingsError, wheel_in

MEMBER = "seglearn/data/watch_dataset.npy"
CHANNELS = ("ax", "ay", "az", "wx", "wy", "wz")
EXERCISES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
HERTZ = 50
LEFT, RIGHT = 0.0, 1.0

Arm = Literal["left", "right"]


@dataclass(frozen=True, eq=False)
class Recording:
    """One set of about twenty repetitions of one exercise, by one arm of one person.

    Attributes:
        subject: the person, as the data numbers them.
        arm: that wears the watch.
        exercise: index in `EXERCISES`.
        signal: acceleration and rotation, [samples, 6] float32, 50 samples a second.
    """

    subject: int
    arm: Arm
    exercise: int
    signal: NDArray[np.float32]


@lru_cache(maxsize=1)
def load_recordings(cache: Path = CACHE) -> tuple[Recording, ...]:
    """All recordings, in the data's order: seven exercises of each arm of ten people.

    Raises:
        RecordingsError: they cannot be had, or are not what they should be.
    """
    wheel = wheel_in(cache)
    try:
        with zipfile.ZipFile(wheel) as archive:
            return recordings_of(read_arrays(archive.read(MEMBER)))
    except (zipfile.BadZipFile, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise RecordingsError(f"{MEMBER} in {wheel} is not the watch data that was meant: {error}") from None


def recordings_of(data: Mapping[str, Any]) -> tuple[Recording, ...]:
    """The recordings in the data's own form.

    Raises:
        KeyError: a part is missing.
        ValueError: channels, exercises or shapes are others, or a value is not finite.
    """
    if tuple(data["X_labels"]) != CHANNELS or tuple(data["y_labels"]) != EXERCISES:
        raise ValueError("other channels or exercises")
    arms: dict[float, Arm] = {LEFT: "left", RIGHT: "right"}
    found = []
    for signal, exercise, subject, side in zip(data["X"], data["y"], data["subject"], data["side"], strict=True):
        if signal.ndim != 2 or signal.shape[1] != len(CHANNELS) or not np.isfinite(signal).all():
            raise ValueError(f"a signal of shape {signal.shape}, or with values that are not finite")
        if float(side) not in arms or not 0 <= int(exercise) < len(EXERCISES):
            raise ValueError(f"side {side}, exercise {exercise}")
        found.append(Recording(int(subject), arms[float(side)], int(exercise), signal.astype(np.float32)))
    return tuple(found)


def read_arrays(content: bytes) -> dict[str, Any]:
    """What an npy file with one pickled dict of arrays holds; nothing but arrays, lists, numbers and texts is built.

    Args:
        content: of the file.

    Raises:
        pickle.UnpicklingError: it asks for anything else.
        ValueError: it is no such file.
    """
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of the npy format")
    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
    if shape != () or not kind.hasobject:
        raise ValueError("no single object")
    held = _ArraysAlone(stream).load()
    found = held.item() if isinstance(held, np.ndarray) and held.shape == () else None
    if not isinstance(found, dict):
        raise ValueError("no dict of arrays")
    return found


class _ArraysAlone(pickle.Unpickler):
    """Builds numpy arrays, and refuses every other name that a pickle asks for."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name that numpy's arrays are pickled with."""
        try:
            return _BUILDERS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array") from None


def _empty_array(*_: object) -> NDArray[Any]:
    # Its shape, type and values follow as its state.
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


_BUILDERS: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}
