"""Tensors on disk: safetensors files, read back as nothing but what was written."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.rollback.errors import ArchiveDamaged
from adapters.screening import Manifest, update_digest


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a new file and return once it is on the disk.

    Raises:
        OSError: it cannot be written.
    """
    # A copy of each: safetensors refuses tensors that share their memory, as tied weights do.
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    """Return the tensors of a file whose canonical digest is ``digest``.

    Raises:
        ArchiveDamaged: they are others, or it is no such file.
        FileNotFoundError: there is none.
    """
    try:
        found = load_file(path)
        known = update_digest(found, Manifest.of(found))
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise ArchiveDamaged(f"{path.name} cannot be read as tensors: {error}") from None
    if known != digest:
        raise ArchiveDamaged(f"{path.name} does not hold what was signed")
    return found
