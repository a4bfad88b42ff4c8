"""A digest that two parties agree on whatever order, device or memory layout they hold the tensors in."""

import hashlib
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.screening.manifest import Manifest
from adapters.screening.reading import Source, read
from adapters.screening.side_by_side import side_by_side


def update_digest(source: Source, manifest: Manifest) -> str:
    """SHA-256 over names (sorted), dtypes, shapes and little-endian values, as ``sha256:<64 hex>``.

    For each tensor: its name, its form such as ``float32[6,5]``, its values. Each part is preceded by its length (8
    bytes, little-endian), so no two different updates share an encoding. A value that does not
    fit the manifest enters by its description alone: its bytes may be absent, or without end.
    """
    update = read(source)
    digest = hashlib.sha256()
    for name in sorted(update, key=str):
        value = update[name]
        _feed(digest, str(name).encode(errors="backslashreplace"))
        _feed(digest, _description(value).encode())
        spec = manifest.tensors.get(name)
        if spec is not None and spec.fits(value):
            _feed(digest, _content(value))
        # One that was read for this alone goes before the next one comes.
        del value
    return f"sha256:{digest.hexdigest()}"


def update_digests(updates: Sequence[Source], manifest: Manifest) -> list[str]:
    """Digests of many updates, on several cores: hashing reads every byte and costs more than measuring does."""
    return list(side_by_side(lambda update: update_digest(update, manifest), updates))


def _feed(digest: "hashlib._Hash", part: bytes | memoryview) -> None:
    digest.update(len(part).to_bytes(8, "little"))
    digest.update(part)


def _description(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}[{','.join(map(str, value.shape))}]"
    return type(value).__name__


def _content(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    raw = flat.view(torch.uint8)
    if sys.byteorder == "big":
        raw = raw.reshape(-1, flat.element_size()).flip(1).reshape(-1)
    return raw.numpy().data
