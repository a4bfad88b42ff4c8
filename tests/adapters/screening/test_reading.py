"""Whatever form an update comes in, it is the same update; and what cannot be read is no update."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from adapters.screening import Manifest, read, screen, update_digest, update_digests

UPDATE = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.tensor([1.0, -2.0])}
MANIFEST = Manifest.of(UPDATE)


def arrays() -> dict[str, object]:
    return {name: tensor.numpy().copy() for name, tensor in UPDATE.items()}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "update.safetensors"
    save_file(UPDATE, path)
    return path


def test_tensors_arrays_files_and_what_loads_later_are_one_update(stored: Path) -> None:
    forms = [UPDATE, arrays(), stored, lambda: UPDATE, arrays]
    assert {update_digest(form, MANIFEST) for form in forms} == {update_digest(UPDATE, MANIFEST)}
    evidence = screen({f"d{number}": form for number, form in enumerate(forms)}, MANIFEST)
    assert [one.norm for one in evidence.values()] == [pytest.approx(22.6053, abs=1e-3)] * 5
    assert all(one.shapes_match and one.duplicates == 4 for one in evidence.values())


def test_an_array_that_is_read_only_or_lies_otherwise_in_memory_is_read() -> None:
    frozen, turned = arrays(), arrays()
    for array in frozen.values():
        assert isinstance(array, np.ndarray)
        array.setflags(write=False)
    turned["w"] = np.asfortranarray(UPDATE["w"].numpy())
    turned["b"] = UPDATE["b"].numpy()[::-1][::-1]
    assert update_digests([frozen, turned], MANIFEST) == [update_digest(UPDATE, MANIFEST)] * 2


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([object()]), np.zeros(2, dtype=">f4"), np.zeros(2, dtype=np.longdouble)]
)
def test_an_array_that_is_no_tensor_fits_nothing(array: object) -> None:
    assert read({"b": array})["b"] is array
    assert not screen({"d": {**UPDATE, "b": array}}, MANIFEST)["d"].shapes_match


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 7, b"\xff" * 64, (2**40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"{}"],
    ids=["empty", "short", "rubbish", "endless", "no tensors"],
)
def test_a_file_that_is_none_is_an_update_without_tensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    assert read(path) == {}
    found = screen({"d": path, "gone": tmp_path / "gone.safetensors", "dir": tmp_path}, MANIFEST)
    assert [(one.shapes_match, one.cosine, one.parameters) for one in found.values()] == [(False, -1.0, 0)] * 3


def test_a_file_that_was_cut_off_is_none(stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:-1])
    assert read(stored) == {}
