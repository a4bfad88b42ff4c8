"""The forms in which an update comes: tensors or arrays by name, a safetensors file, or whatever loads one later."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

Source: TypeAlias = Mapping[str, object] | Path | Callable[[], Mapping[str, object]]
"""An update: name -> tensor or NumPy array, a safetensors file, or a function that loads either when it is needed."""

_log = logging.getLogger("ztfm.screening")


def read(source: Source) -> Mapping[str, object]:
    """Return an update's tensors by name. What cannot be read is an update without tensors: it fits no manifest.

    A file is mapped into memory, not copied; NumPy arrays share theirs. Other values are handed on as they are.
    """
    if isinstance(source, Path):
        return _load(source)
    update = source if isinstance(source, Mapping) else source()
    return {name: _tensor(value) if isinstance(value, np.ndarray) else value for name, value in update.items()}


def _load(path: Path) -> dict[str, object]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        _log.warning("an update's file cannot be read: %s", error)
        return {}


def _tensor(array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> object:
    try:
        sound = array if array.flags.writeable and array.flags.c_contiguous else array.copy()
        return torch.from_numpy(sound)
    except (TypeError, ValueError):
        return array
