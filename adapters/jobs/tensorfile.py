"""What a safetensors file says of itself, read strictly and without torch, so that a small device can carry it too.

The form is that of https://github.com/huggingface/safetensors: eight bytes, the length of a JSON header, then the
values.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAX_HEADER_BYTES = 16 * 1024 * 1024
"""A longer header is not read; that of a model with ten thousand tensors has about 1 MiB."""

DTYPES: Mapping[str, tuple[str, int]] = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
}
"""The names that files use, to the names that digests use and the bytes of one value. Others take no part in rounds."""

MOST_DIMENSIONS = 64
"""Of a shape, as many as torch has: multiplying a million of them takes hours."""

_CHUNK_BYTES = 1024 * 1024
_MOST_NORM = 1e12
_FORMATS: Mapping[str, tuple[str, int]] = {"float64": ("d", 8), "float32": ("f", 4), "float16": ("e", 2)}
_ENTRY = frozenset({"dtype", "shape", "data_offsets"})


class UnfitFileError(ValueError):
    """A file is no safetensors file, or one with other tensors than those that can be screened."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file.

    Attributes:
        name: as the file has it.
        dtype: ``float32`` and the like.
        shape: its dimensions.
        start: where its values begin in the file, in bytes.
        size_bytes: how many bytes they are.
        value_bytes: of one of them.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size_bytes: int
    value_bytes: int

    @property
    def form(self) -> str:
        """What a digest says of it, such as ``float32[6,5]``."""
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def read_stored(path: Path) -> list[StoredTensor]:
    """Return the tensors of a file in the order of their names; their values are not read.

    Raises:
        UnfitFileError: it is no such file, or its values are not aligned, leave gaps, overlap, or end elsewhere than
            the file does.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        found = stored_in(file, DTYPES)
    for tensor in found:
        # Some readers map the values, and cannot do so elsewhere.
        if tensor.start % tensor.value_bytes:
            raise UnfitFileError("values begin at a multiple of the size of one; pad the header with spaces")
    return sorted(found, key=lambda tensor: tensor.name)


def stored_in(
    file: BinaryIO, types: Mapping[str, tuple[str, int]], most_header_bytes: int = MAX_HEADER_BYTES
) -> list[StoredTensor]:
    """Return the tensors of an open file in the order of its header; their values are not read.

    Args:
        file: at its beginning.
        types: the names that the file may use, to the names that are wanted and the bytes of one value.
        most_header_bytes: a longer header is not read.

    Raises:
        UnfitFileError: it is no safetensors file, has tensors of other types, or its values leave gaps, overlap, or end
            elsewhere than the file does.
        OSError: it cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(0)
    header, start = _read_header(file, size, most_header_bytes)
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise UnfitFileError("__metadata__ is an object of texts")
    found = [_stored(name, entry, start, types) for name, entry in header.items()]
    _require_gapless(found, start, size)
    return found


def file_digest(path: Path, stored: Iterable[StoredTensor]) -> str:
    """Return the digest of a file's tensors, the same as `adapters.screening.update_digest` makes of them.

    Args:
        path: the file.
        stored: what `read_stored` returned for it.

    Raises:
        OSError: it cannot be read.
    """
    return files_digest({path: list(stored)})


def files_digest(stored: Mapping[Path, Iterable[StoredTensor]]) -> str:
    """Return the digest of the tensors of several files together, as if they lay in one.

    Args:
        stored: by file, those of its tensors that take part; no name is in two files.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    found = [(tensor, path) for path, some in stored.items() for tensor in some]
    with ExitStack() as stack:
        files = {path: stack.enter_context(path.open("rb")) for path in stored}
        for tensor, path in sorted(found, key=lambda one: one[0].name):
            for part in (tensor.name.encode(), tensor.form.encode()):
                digest.update(struct.pack("<Q", len(part)) + part)
            digest.update(struct.pack("<Q", tensor.size_bytes))
            for chunk in _chunks(files[path], path, tensor):
                digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def file_norm(path: Path, stored: Iterable[StoredTensor]) -> float | None:
    """Return the L2 norm of all tensors of a file together; none where that is no number, or above a trillion.

    Args:
        path: the file.
        stored: what `read_stored` returned for it.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        parts = [math.hypot(*_values(chunk, one.dtype)) for one in stored for chunk in _chunks(file, path, one)]
    norm = math.hypot(*parts)
    return norm if math.isfinite(norm) and norm <= _MOST_NORM else None


def content_sha256(path: Path) -> bytes:
    """Return the SHA-256 of a whole file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _chunks(file: BinaryIO, path: Path, tensor: StoredTensor) -> Iterator[bytes]:
    """Give the bytes of a tensor, whole values at a time.

    Raises:
        OSError: they cannot be read.
    """
    file.seek(tensor.start)
    left = tensor.size_bytes
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if len(chunk) != min(left, _CHUNK_BYTES):
            raise OSError(f"{path} ended while it was read")
        yield chunk
        left -= len(chunk)


def _values(chunk: bytes, dtype: str) -> tuple[float, ...]:
    if dtype == "bfloat16":
        # The upper half of a float32, whose lower half is zeros.
        wide = bytearray(2 * len(chunk))
        wide[2::4], wide[3::4] = chunk[0::2], chunk[1::2]
        return _values(bytes(wide), "float32")
    code, size = _FORMATS[dtype]
    return struct.unpack(f"<{len(chunk) // size}{code}", chunk)


def _read_header(file: BinaryIO, size: int, most: int) -> tuple[dict[str, Any], int]:
    prefix = file.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if not 2 <= length <= min(most, size - 8):
        raise UnfitFileError("the first eight bytes are not the length of a header that is in the file")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise UnfitFileError("the header is no JSON object in UTF-8 with each name once") from None
    if not isinstance(header, dict):
        raise UnfitFileError("the header is no JSON object")
    return header, 8 + length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _stored(name: str, entry: object, start: int, types: Mapping[str, tuple[str, int]]) -> StoredTensor:
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise UnfitFileError("a tensor's name is no text: half of a character stands in it")
    if not isinstance(entry, dict) or entry.keys() != _ENTRY:
        raise UnfitFileError("each tensor of the header has dtype, shape and data_offsets, and nothing else")
    shape, offsets, known = entry["shape"], entry["data_offsets"], types.get(str(entry["dtype"]))
    if known is None:
        raise UnfitFileError(f"only tensors of these types take part: {', '.join(types)}")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2 or len(shape) > MOST_DIMENSIONS:
        most = f"a shape is a list of at most {MOST_DIMENSIONS} whole numbers"
        raise UnfitFileError(f"{most}, and data_offsets are two of them")
    size = math.prod(shape) * known[1]
    if offsets[1] - offsets[0] != size:
        raise UnfitFileError("data_offsets are as far apart as the shape's values are long")
    return StoredTensor(name, known[0], tuple(shape), start + offsets[0], size, known[1])


def _are_counts(found: object) -> bool:
    return isinstance(found, list) and all(type(one) is int and 0 <= one < 2**53 for one in found)


def _require_gapless(found: list[StoredTensor], start: int, size: int) -> None:
    at = start
    for tensor in sorted(found, key=lambda one: (one.start, one.size_bytes)):
        if tensor.start != at:
            raise UnfitFileError("the values leave a gap, or overlap")
        at += tensor.size_bytes
    if at != size:
        raise UnfitFileError("the values do not end where the file does")
