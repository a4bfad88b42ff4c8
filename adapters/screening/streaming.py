"""Tensors that are read one at a time, so that nobody holds all: of a file, of a difference, of a clipped update.

A safetensors file is read, not mapped into memory: pages of a map that were looked at count as the process's own, and
a file that is cut off under a map ends the process.
"""

import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from adapters.jobs.tensorfile import stored_in
from adapters.screening.spec import TensorSpec

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The names that safetensors files have for types."""

_STORED = {name: (name, dtype.itemsize) for name, dtype in TYPES.items()}
_LONGEST_HEADER = 100_000_000


class Streamed(Mapping[str, Tensor]):
    """Tensors by name, each made anew whenever it is asked for. What they look like is known without making any.

    Attributes:
        specs: shape and type of each, by name.
    """

    specs: Mapping[str, TensorSpec]

    @abstractmethod
    def __getitem__(self, name: str) -> Tensor: ...

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)

    def __contains__(self, name: object) -> bool:
        return name in self.specs

    @property
    def parameters(self) -> int:
        """How many values there are."""
        return sum(math.prod(spec.shape) for spec in self.specs.values())

    @property
    def size_bytes(self) -> int:
        """What they would take all at once."""
        return sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in self.specs.values())

    def floating(self) -> "Streamed":
        """Those with floating-point numbers."""
        return Changed(self, lambda _, tensor: tensor, [n for n, s in self.specs.items() if s.dtype.is_floating_point])


class TensorFile(Streamed):
    """A safetensors file that stays on the disk.

    Nobody else may be able to write it: it is read once for its digest, once for what it is worth, and once more for
    the model. That it is another one by then is an error.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no safetensors file, or a part of one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._known = _standing(file)
            stored = stored_in(file, _STORED, _LONGEST_HEADER)
        self._places = {one.name: (one.start, one.size_bytes) for one in stored}
        self.specs = {one.name: TensorSpec(one.shape, TYPES[one.dtype]) for one in stored}

    def __getitem__(self, name: str) -> Tensor:
        """Return one tensor, read into memory of its own.

        Raises:
            KeyError: there is none of this name.
            OSError: it cannot be read any more, or is another file than it was.
        """
        spec, (start, size) = self.specs[name], self._places[name]
        with self._path.open("rb") as file:
            if _standing(file) != self._known:
                raise OSError(f"{self._path} changed while it was in use: only this process may write it")
            raw = np.fromfile(file, np.uint8, size, offset=start)
        if len(raw) != size:
            raise OSError(f"{self._path} was cut off while it was in use, at {name!r}")
        if not len(raw):
            return torch.empty(spec.shape, dtype=spec.dtype)
        return torch.from_numpy(raw).view(spec.dtype).reshape(spec.shape)


class Changed(Streamed):
    """Some of other streamed tensors, each changed when it is asked for.

    Args:
        source: of the tensors.
        change: from a name and a tensor, which it may keep, to one of the same shape and type.
        names: which of them; none for all.
    """

    def __init__(
        self, source: Streamed, change: Callable[[str, Tensor], Tensor], names: list[str] | None = None
    ) -> None:
        chosen = source.specs if names is None else {name: source.specs[name] for name in names}
        self.specs = dict(chosen)
        self._source = source
        self._change = change

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.specs:
            raise KeyError(name)
        return self._change(name, self._source[name])


class _Standing(NamedTuple):
    """By what a file is known to be the one that it was."""

    device: int
    number: int
    size: int
    changed_ns: int


def _standing(file: BinaryIO) -> _Standing:
    found = os.fstat(file.fileno())
    return _Standing(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
