"""What a signer states of a model's tensors: their digest, as rounds name weights, in a file of the model."""

import json
from pathlib import Path

from adapters.jobs.tensorfile import DTYPES, UnfitFileError, files_digest, stored_in
from controlplane.transparency.modelsignatures import TENSORS_FILE

_OTHERS = {
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""Counters and indices may be in a model; in rounds they take no part, and in the digest neither."""

_FLOATING = {name for name, _size in DTYPES.values()}


def tensors_of(model: Path) -> tuple[str, list[Path]] | None:
    """Return the digest of the floating-point tensors of a model's safetensors files together, and the files.

    It is the digest that a guard seals a round with which begins with these weights.

    Args:
        model: its folder, or the file that it is.

    Returns:
        None where it has no such tensors.

    Raises:
        UnfitFileError: a file is no safetensors file, or a name is in two of them.
        OSError: a file cannot be read.
    """
    files = sorted(model.rglob("*.safetensors")) if model.is_dir() else [model]
    found = {}
    for path in files:
        with path.open("rb") as file:
            stored = stored_in(file, {**DTYPES, **_OTHERS})
        found[path] = [tensor for tensor in stored if tensor.dtype in _FLOATING]
    names = [tensor.name for some in found.values() for tensor in some]
    if len(names) != len(set(names)):
        raise UnfitFileError("a tensor's name is in two files")
    return (files_digest(found), files) if names else None


def state_tensors(model: Path) -> Path | None:
    """Write what is stated of a model's tensors into its folder, to be signed with it.

    Args:
        model: its folder.

    Returns:
        The file; none where the model has no tensors that rounds could train, and nothing was written.

    Raises:
        UnfitFileError: a file is no safetensors file, or a name is in two of them.
        OSError: a file cannot be read or written.
    """
    found = tensors_of(model)
    path = model / TENSORS_FILE
    if found is None:
        path.unlink(missing_ok=True)
        return None
    digest, files = found
    stated = {"digest": digest, "files": [file.relative_to(model).as_posix() for file in files]}
    # Never through a link that lay there: it would write over what it leads to.
    path.unlink(missing_ok=True)
    with path.open("x") as file:
        file.write(json.dumps(stated, indent=2) + "\n")
    return path
