"""The forms in which an update comes: tensors or arrays by name, a safetensors file, or whatever loads one later."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from adapters.screening.streaming import Streamed, TensorFile

Source: TypeAlias = Mapping[str, object] | Path | Callable[[], Mapping[str, object]]
"""An update: name -> tensor or NumPy array, a safetensors file, or a function that loads either when it is needed."""

_log = logging.getLogger("ztfm.screening")


def read(source: Source) -> Mapping[str, object]:
    """Return an update's tensors by name. What cannot be read is an update without tensors: it fits no manifest.

    A file stays on the disk, and each tensor of it is read when it is asked for; NumPy arrays share their memory. Other
    values are handed on as they are.
    """
    if isinstance(source, Path):
        return _load(source)
    update = source if isinstance(source, Mapping) else source()
    if isinstance(update, Streamed):
        return update
    return {name: _tensor(value) if isinstance(value, np.ndarray) else value for name, value in update.items()}


def _load(path: Path) -> Mapping[str, object]:
    try:
        return TensorFile(path)
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("an update's file cannot be read: %s", error)
        return {}


def _tensor(array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> object:
    try:
        sound = array if array.flags.writeable and array.flags.c_contiguous else array.copy()
        return torch.from_numpy(sound)
    except (TypeError, ValueError):
        return array
