"""Which encoder is read: the packaged one, or one of the hub that fits; anything else is said, not tried."""

from pathlib import Path

import pytest
import torch

from evaluation.smart_home.encoder import LowerLayers
from evaluation.smart_home.pretrained import PretrainedError, encoder_in, hub_folder, packaged_minilm
from tests.evaluation.hub import NAME, fill


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_without_a_folder_it_is_the_packaged_encoder() -> None:
    assert encoder_in(None) == packaged_minilm()


def test_a_model_of_the_hub_that_was_fetched_before_is_read(cache: Path) -> None:
    snapshot = fill(cache)
    folder = hub_folder(NAME)
    assert folder.resolve() == snapshot.resolve()
    found = encoder_in(folder)
    assert found.sha256 == packaged_minilm().sha256
    text = ["turn on the lamp"]
    assert torch.equal(LowerLayers(found)(text)[0], LowerLayers(packaged_minilm())(text)[0])


@pytest.mark.parametrize("name", ["example/unknown", "no such name", "../../etc", ""])
def test_a_name_that_gives_no_model_says_what_to_do(cache: Path, name: str) -> None:
    with pytest.raises(PretrainedError, match="check the name"):
        hub_folder(name)


@pytest.mark.parametrize(("key", "value"), [("model_type", "roberta"), ("num_attention_heads", 16)])
def test_a_model_of_another_shape_is_refused(cache: Path, key: str, value: object) -> None:
    fill(cache, **{key: value})
    with pytest.raises(PretrainedError, match="a bert with 12 is needed"):
        hub_folder(NAME)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_model_that_lacks_a_file_is_refused(cache: Path, missing: str) -> None:
    fill(cache, without=missing)
    with pytest.raises(PretrainedError, match=missing):
        hub_folder(NAME)
