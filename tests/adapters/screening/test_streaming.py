"""A file's tensors are read one at a time, are what they are in memory, and a file that is none is found out."""

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.guard.rounds import Weights, difference, streamed_difference
from adapters.screening import Manifest, Screener, TensorFile, read, update_digest
from adapters.screening.streaming import Changed

STATE = {
    "half": torch.arange(6.0).reshape(2, 3).bfloat16(),
    "scalar": torch.tensor(2.5),
    "none": torch.zeros(0, 4),
    "steps": torch.tensor([3, 4]),
    "mask": torch.tensor([True, False]),
    "weight": torch.randn(40, 30, generator=torch.Generator().manual_seed(1)),
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "state.safetensors"
    save_file(STATE, path, metadata={"format": "pt"})
    return path


def written(path: Path, header: Any, values: bytes = b"") -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + values)
    return path


def entry(start: int, stop: int, **other: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(stop - start) // 4], "data_offsets": [start, stop], **other}


def test_what_is_read_is_what_was_written(stored: Path) -> None:
    found = TensorFile(stored)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())
    assert found["weight"].data_ptr() != found["weight"].data_ptr()
    with pytest.raises(KeyError):
        found["another"]


def test_a_files_weights_have_the_same_digest_and_manifest_as_those_in_memory(stored: Path) -> None:
    in_memory, streamed = Weights.of(STATE), Weights.of(TensorFile(stored))
    assert (streamed.digest, streamed.manifest) == (in_memory.digest, in_memory.manifest)
    assert streamed.tensors.keys() == STATE.keys() - {"steps", "mask"}


def test_evidence_on_files_is_evidence_on_tensors(tmp_path: Path) -> None:
    updates = {
        f"d{seed}": {"w": torch.randn(300, 400, generator=torch.Generator().manual_seed(seed))} for seed in range(4)
    }
    for name, update in updates.items():
        save_file(update, tmp_path / name)
    manifest = Manifest.of(updates["d0"])
    files = {name: tmp_path / name for name in updates}
    assert Screener(seed=1).screen(files, manifest) == Screener(seed=1).screen(updates, manifest)


def test_no_two_large_tensors_are_in_memory_at_once(tmp_path: Path) -> None:
    alive, most = 0, 0

    def counted(name: str, tensor: Tensor) -> Tensor:
        nonlocal alive, most
        alive, most = alive + 1, max(most, alive + 1)
        weakref.finalize(tensor, gone)
        return tensor

    def gone() -> None:
        nonlocal alive
        alive -= 1

    path = tmp_path / "large"
    save_file({f"w{number}": torch.randn(400, 400) for number in range(6)}, path)
    manifest = Manifest.of(TensorFile(path))
    update_digest(Changed(TensorFile(path), counted), manifest)
    assert (alive, most) == (0, 1)


def test_differences_of_a_file_and_of_tensors_are_the_same_update(tmp_path: Path) -> None:
    received = {"w": torch.ones(4, 3), "b": torch.zeros(2)}
    trained = {"w": torch.full((4, 3), 1.5), "b": torch.zeros(3), "n": torch.tensor([1]), "extra": torch.ones(1)}
    save_file(trained, tmp_path / "trained")
    whole, streamed = difference(trained, received), streamed_difference(TensorFile(tmp_path / "trained"), received)
    assert streamed.keys() == whole.keys() == {"w", "b", "extra"}
    assert all(torch.equal(streamed[name], torch.as_tensor(whole[name])) for name in streamed)
    assert update_digest(streamed, Manifest.of(received)) == update_digest(whole, Manifest.of(received))
    assert torch.equal(trained["w"], torch.full((4, 3), 1.5))


def test_a_difference_of_ones_own_tensors_takes_their_memory() -> None:
    trained = {"w": torch.full((4, 3), 1.5), "n": torch.tensor([7])}
    place = trained["w"].data_ptr()
    update = difference(trained, {"w": torch.ones(4, 3), "n": torch.tensor([2])}, is_ours=True)
    assert isinstance(update["w"], Tensor)
    assert (update["w"].data_ptr(), update["w"].sum().item()) == (place, 6.0)
    assert trained["n"].item() == 7


BROKEN: dict[str, Callable[[Path], Path]] = {
    "a gap": lambda path: written(path, {"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)),
    "an overlap": lambda path: written(path, {"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
    "more than its tensors": lambda path: written(path, {"a": entry(0, 4)}, bytes(5)),
    "less than its tensors": lambda path: written(path, {"a": entry(0, 8)}, bytes(4)),
    "another length than its shape": lambda path: written(path, {"a": entry(0, 8, shape=[1])}, bytes(8)),
    "a negative dimension": lambda path: written(path, {"a": entry(0, 4, shape=[-1, -1])}, bytes(4)),
    "a dimension that is true": lambda path: written(path, {"a": entry(0, 4, shape=[True])}, bytes(4)),
    "an unknown type": lambda path: written(path, {"a": entry(0, 4, dtype="F3")}, bytes(4)),
    "a type that is a list": lambda path: written(path, {"a": entry(0, 4, dtype=["F32"])}, bytes(4)),
    "no place": lambda path: written(path, {"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "a list for a header": lambda path: written(path, []),
    "a deep header": lambda path: written(path, b"[" * 100_000),
    "no text": lambda path: written(path, b"\xff\xfe{}"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_hides_something_is_an_update_without_tensors(
    broken: Callable[[Path], Path], tmp_path: Path
) -> None:
    assert dict(read(broken(tmp_path / "odd"))) == {}


@pytest.mark.parametrize("change", ["another file", "cut off"])
def test_a_file_that_changes_under_way_is_an_error_and_no_other_update(stored: Path, change: str) -> None:
    found = TensorFile(stored)
    if change == "cut off":
        stored.write_bytes(stored.read_bytes()[:-1])
    else:
        stored.unlink()
        save_file({name: tensor.clone() for name, tensor in STATE.items()}, stored, metadata={"format": "pt"})
    with pytest.raises(OSError, match="changed"):
        found["weight"]
