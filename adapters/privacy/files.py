"""Clip and noise an update that lies in a safetensors file, without torch."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from adapters.jobs.tensorfile import StoredTensor, UnfitFileError, file_norm, read_stored
from adapters.privacy.clipping import clipping
from adapters.privacy.drawing import require_drawn
from adapters.privacy.grids import Grid
from adapters.privacy.noise import Noise
from controlplane.contracts.privacy import PrivacyTerms

_TYPES: Mapping[str, str] = {"float64": "<f8", "float32": "<f4", "float16": "<f2"}


def noised_file(
    source: Path, target: Path, terms: PrivacyTerms, generator: Noise | None = None, *, sampled: float | None = None
) -> None:
    """Write an update, clipped and noised as `clip_and_noise` does it, into another file; one tensor at a time.

    Args:
        source: safetensors file, trained minus received.
        target: is written; a file of the same header.
        terms: what to do.
        generator: draws the noise; none for one that is seeded by the operating system.
        sampled: as for `clip_and_noise`.

    Raises:
        UnfitFileError: the file is no safetensors file that can be screened, or an update that cannot be clipped.
        OSError: a file cannot be read or written.
    """
    noise = Noise() if generator is None else generator
    stored = read_stored(source)
    norm = file_norm(source, stored)
    if norm is None or not stored:
        raise UnfitFileError("an update whose norm is not finite, or that has no tensors, cannot be clipped")
    try:
        require_drawn(terms, sampled)
        grid = Grid.of(terms)
        grid.require_exact(sum(math.prod(tensor.shape) for tensor in stored), terms)
    except ValueError as error:
        raise UnfitFileError(str(error)) from None
    scale = clipping(norm, terms.clip_norm)
    with source.open("rb") as read, target.open("wb") as written:
        written.write(read.read(min(tensor.start for tensor in stored)))
        for tensor in stored:
            values = grid.noised(_values(read, tensor), scale, noise)
            written.seek(tensor.start)
            written.write(_bytes(values, tensor.dtype))


def _values(file: BinaryIO, tensor: StoredTensor) -> NDArray[np.float64]:
    file.seek(tensor.start)
    raw = file.read(tensor.size_bytes)
    if tensor.dtype == "bfloat16":
        # The upper half of a float32.
        wide = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).astype(np.float64)
    return np.frombuffer(raw, dtype=_TYPES[tensor.dtype]).astype(np.float64)


def _bytes(values: NDArray[np.float64], dtype: str) -> bytes:
    if dtype == "bfloat16":
        wide = values.astype("<f4").view(np.uint32).astype(np.uint64)
        # To the nearest, and to the even one of two that are as near.
        nearest = (wide + np.uint64(0x7FFF) + ((wide >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
        return nearest.astype("<u2").tobytes()
    return values.astype(_TYPES[dtype]).tobytes()
