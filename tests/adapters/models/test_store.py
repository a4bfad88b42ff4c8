"""Nothing is handed out but what was signed, and nothing of it that was altered since."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from adapters.guard.rounds import Weights
from adapters.models import AlteredError, ModelStore, SignatureRefused, Signers, state_tensors, tensors_of
from controlplane.transparency.modelfiles import verify_model
from controlplane.transparency.modelsignatures import TENSORS_FILE, stated_tensors
from tests.modelsigning import AT, KEY, STRANGER, digest_of, written

SIGNERS = Signers({"example-lab": KEY.public_key()})
FILES = {"config.json": b"{}", "weights.bin": b"weights" * 100_000}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "fall-detection", FILES)


def sent(store: ModelStore, name: str, content: bytes) -> bytes:
    with store.pieces(name, digest_of(content)) as pieces:
        return b"".join(pieces)


def test_each_file_of_a_signed_model_is_handed_out_by_its_digest(model: Path) -> None:
    store = ModelStore(SIGNERS, lambda: AT)
    assert sorted(store.add(model)) == sorted(digest_of(content) for content in FILES.values())
    for content in FILES.values():
        assert sent(store, "fall-detection", content) == content
    for name, content in (("fall-detection", b"other"), ("another", FILES["config.json"])):
        with pytest.raises(SignatureRefused, match="was signed as"):
            sent(store, name, content)


def test_what_nobody_signed_who_may_is_not_taken_in(model: Path) -> None:
    store = ModelStore(Signers({"another": STRANGER.public_key()}), lambda: AT)
    with pytest.raises(SignatureRefused):
        store.add(model)
    assert store.find("fall-detection", digest_of(FILES["config.json"])) is None


def test_what_is_altered_afterwards_is_not_handed_out(model: Path) -> None:
    store = ModelStore(SIGNERS, lambda: AT)
    store.add(model)
    content = FILES["weights.bin"]
    for at in (0, len(content) // 2, len(content) - 1):
        flipped = bytearray(content)
        flipped[at] ^= 1
        (model / "weights.bin").write_bytes(flipped)
        with pytest.raises(AlteredError), store.pieces("fall-detection", digest_of(content)) as pieces:
            for piece in pieces:
                assert piece in content
    with pytest.raises(SignatureRefused, match=r"weights\.bin was changed"):
        ModelStore(SIGNERS, lambda: AT).add(model)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(model: Path) -> None:
    store = ModelStore(SIGNERS, lambda: AT)
    store.add(model)
    content = FILES["config.json"]
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")
    with pytest.raises(OSError, match="no plain file"):
        sent(store, "fall-detection", content)


def test_what_is_stated_of_tensors_is_what_a_round_is_sealed_with(tmp_path: Path) -> None:
    model = tmp_path / "tiny"
    model.mkdir()
    state = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(4, dtype=torch.bfloat16), "steps": torch.tensor(3)}
    save_file({"b": state["b"], "steps": state["steps"]}, model / "one.safetensors")
    save_file({"a": state["a"]}, model / "two.safetensors")
    stated = state_tensors(model)
    assert stated is not None
    written(model, {path.name: path.read_bytes() for path in model.iterdir()})
    manifest = verify_model(model, SIGNERS, AT).manifest
    assert stated_tensors((model / TENSORS_FILE).read_text(), manifest) == Weights.of(state).digest
    found = tensors_of(model / "two.safetensors")
    assert found is not None
    assert found[0] == Weights.of({"a": state["a"]}).digest


def test_what_is_stated_is_never_written_through_a_link(tmp_path: Path) -> None:
    model = tmp_path / "tiny"
    model.mkdir()
    save_file({"a": torch.ones(4)}, model / "one.safetensors")
    kept = tmp_path / "kept"
    kept.write_text("of somebody else")
    (model / TENSORS_FILE).symlink_to(kept)
    assert state_tensors(model) is not None
    assert kept.read_text() == "of somebody else"
    assert not (model / TENSORS_FILE).is_symlink()


def test_of_a_model_without_tensors_nothing_is_stated(model: Path) -> None:
    assert state_tensors(model) is None
    assert not (model / TENSORS_FILE).exists()
