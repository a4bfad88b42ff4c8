"""Reading safetensors files without torch, against torch's own reading of them."""

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from safetensors.torch import save, save_file

from adapters.jobs.tensorfile import UnfitFileError, file_digest, file_norm, read_stored
from adapters.screening import Manifest, update_digest
from adapters.site.measuring import norm_of

NAMES = some.text(some.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name != "__metadata__"
)
SHAPES = some.lists(some.integers(0, 3), max_size=3)
DTYPES = some.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16])


@given(some.dictionaries(NAMES, some.tuples(SHAPES, DTYPES), min_size=1, max_size=5), some.booleans())
def test_the_digest_is_that_of_screening(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, tuple[list[int], torch.dtype]], has_notes: bool
) -> None:
    update = {name: torch.randn(shape).to(dtype) for name, (shape, dtype) in made.items()}
    path = tmp_path_factory.mktemp("files") / "update.safetensors"
    save_file(update, path, metadata={"format": "pt"} if has_notes else None)
    stored = read_stored(path)
    assert [tensor.name for tensor in stored] == sorted(update)
    assert file_digest(path, stored) == update_digest(update, Manifest.of(update))


def test_a_shape_of_a_million_dimensions_is_not_multiplied(tmp_path: Path) -> None:
    path = written(tmp_path / "update", {"a": entry(shape=[2**53 - 1] * 20_000)}, b"0000")
    with pytest.raises(UnfitFileError, match="at most 64"):
        read_stored(path)


def written(path: Path, header: Any, values: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + values)
    return path


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"a": entry()}, 3),
        ({"a": entry()}, 5),
        ({"a": entry(offsets=[4, 8])}, 8),
        ({"a": entry(), "b": entry()}, 4),
        ({"a": entry(), "b": entry(offsets=[8, 12])}, 12),
        ({"a": entry("F16", offsets=[0, 2]), "b": entry(offsets=[2, 6])}, 6),
        ({"a": entry("I64", offsets=[0, 8])}, 8),
        ({"a": entry(["F32"])}, 4),
        ({"a": entry(shape=[-1])}, 4),
        ({"\ud800": entry()}, 4),
        ({"a": entry(shape=[True])}, 4),
        ({"a": entry(shape=[1.0])}, 4),
        ({"a": entry(shape=[2**60])}, 4),
        ({"a": entry(offsets=[0])}, 4),
        ({"a": entry(more=1)}, 4),
        ({"a": []}, 0),
        ({"a": entry(), "__metadata__": {"b": 1}}, 4),
        ([], 0),
        (
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            4,
        ),
        (b"[" * 4096, 0),
        (b"\xff\xff\xff\xff", 0),
    ],
)
def test_a_file_that_could_be_read_in_two_ways_is_read_in_none(tmp_path: Path, header: Any, size: int) -> None:
    with pytest.raises(UnfitFileError):
        read_stored(written(tmp_path / "file", header, b"\x00" * size))


@given(some.binary(max_size=64))
def test_whatever_comes_is_a_file_or_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(content)
    with suppress(UnfitFileError):
        assert read_stored(path) == []


def test_values_begin_at_a_multiple_of_their_size(tmp_path: Path) -> None:
    content = save({"a": torch.ones(2)})
    length = struct.unpack("<Q", content[:8])[0]
    path = tmp_path / "file"
    path.write_bytes(struct.pack("<Q", length + 1) + content[8 : 8 + length] + b" " + content[8 + length :])
    with pytest.raises(UnfitFileError, match="multiple"):
        read_stored(path)


@given(some.dictionaries(NAMES, some.tuples(SHAPES, DTYPES), min_size=1, max_size=5))
def test_the_norm_is_that_which_torch_measures(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, tuple[list[int], torch.dtype]]
) -> None:
    update: dict[str, object] = {name: torch.randn(shape).to(dtype) for name, (shape, dtype) in made.items()}
    path = tmp_path_factory.mktemp("files") / "update.safetensors"
    save_file(update, path)
    assert file_norm(path, read_stored(path)) == pytest.approx(norm_of(update), rel=1e-9)


def test_the_norm_is_of_more_than_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "update.safetensors"
    save_file({"a": torch.full((1_000, 1_001), 2.0), "b": torch.ones(3, dtype=torch.float16)}, path)
    assert file_norm(path, read_stored(path)) == pytest.approx((4.0 * 1_001_000 + 3.0) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_is_no_number_or_no_update_s_has_no_norm(tmp_path: Path, value: float) -> None:
    path = tmp_path / "update.safetensors"
    save_file({"a": torch.tensor([1.0, value])}, path)
    assert file_norm(path, read_stored(path)) is None
