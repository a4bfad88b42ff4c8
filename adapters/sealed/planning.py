"""Which tensors make up a shard, and how a shard's content is put together without copying its values."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import BinaryIO

from adapters.jobs.tensorfile import StoredTensor, UnfitFileError, stored_in
from adapters.sealed.errors import UnfitWeightsError

TYPES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "F64": ("float64", 8),
        "F32": ("float32", 4),
        "F16": ("float16", 2),
        "BF16": ("bfloat16", 2),
        "I64": ("int64", 8),
        "I32": ("int32", 4),
        "I16": ("int16", 2),
        "I8": ("int8", 1),
        "U8": ("uint8", 1),
        "BOOL": ("bool", 1),
        "F8_E4M3": ("float8_e4m3fn", 1),
        "F8_E5M2": ("float8_e5m2", 1),
    }
)
"""Names of types in a file, to those that people use and the bytes of one value. All kinds are sealed."""

_NAMES: Mapping[str, str] = MappingProxyType({known: name for name, (known, _) in TYPES.items()})
_ALIGNED = 8

Groups = Mapping[str, Sequence[str]]
"""Shards to the tensors that they hold, as patterns such as ``*lora*``; the first that fits counts."""


@dataclass(frozen=True)
class Segment:
    """Bytes that lie together in two places.

    Attributes:
        start: in the one.
        at: in the other.
        size: how many.
    """

    start: int
    at: int
    size: int

    @property
    def stop(self) -> int:
        """Where it ends in the one."""
        return self.start + self.size


@dataclass(frozen=True)
class Content:
    """A safetensors file that is not written yet.

    Attributes:
        head: its length and its header.
        segments: of its values: where they are in the content, and where they are taken from.
        size: of all of it, in bytes.
    """

    head: bytes
    segments: tuple[Segment, ...]
    size: int


def read_weights(file: BinaryIO) -> list[StoredTensor]:
    """Return the tensors of an open safetensors file.

    Raises:
        UnfitWeightsError: it is none.
    """
    try:
        return stored_in(file, TYPES)
    except UnfitFileError as error:
        raise UnfitWeightsError(f"it is no safetensors file: {error}") from None


def group(tensors: Iterable[StoredTensor], groups: Groups) -> dict[str, list[StoredTensor]]:
    """Return the tensors of each shard.

    Raises:
        UnfitWeightsError: a tensor belongs to none, or a shard would be empty.
    """
    found: dict[str, list[StoredTensor]] = {shard: [] for shard in groups}
    for tensor in tensors:
        shards = (name for name, patterns in groups.items() if any(fnmatchcase(tensor.name, one) for one in patterns))
        shard = next(shards, None)
        if shard is None:
            raise UnfitWeightsError(f"no shard takes the tensor {tensor.name[:128]}: add a pattern, such as rest=*")
        found[shard].append(tensor)
    empty = sorted(name for name, tensors in found.items() if not tensors)
    if empty:
        raise UnfitWeightsError(f"no tensor is of the shard {', '.join(empty)}: compare its patterns with the file")
    return found


def content_of(tensors: Iterable[StoredTensor]) -> Content:
    """Return the safetensors file of these tensors, their values taken from where they are.

    Wide values come first, so that all of them are aligned.
    """
    ordered = sorted(tensors, key=lambda one: (-one.value_bytes, one.name))
    header, at = {}, 0
    for tensor in ordered:
        offsets = [at, at + tensor.size_bytes]
        header[tensor.name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        at += tensor.size_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    head = len(text).to_bytes(8, "little") + text
    segments, start = [], len(head)
    for tensor in ordered:
        segments.append(Segment(start, tensor.start, tensor.size_bytes))
        start += tensor.size_bytes
    return Content(head, tuple(_joined(segments)), start)


def _joined(segments: Iterable[Segment]) -> list[Segment]:
    """Return segments with those made one that lie together in both places."""
    found: list[Segment] = []
    for one in segments:
        last = found[-1] if found else None
        if last is not None and last.stop == one.start and last.at + last.size == one.at:
            found[-1] = Segment(last.start, last.at, last.size + one.size)
        elif one.size:
            found.append(one)
    return found
