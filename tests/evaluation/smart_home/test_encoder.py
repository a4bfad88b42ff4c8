import pytest
import torch

from evaluation.smart_home.encoder import LowerLayers
from evaluation.smart_home.pretrained import UntrustedWeightsError, packaged_minilm, verified
from evaluation.smart_home.task import Task
from evaluation.smart_home.trunk import Trunk

TEXTS = ["turn on the lamp", "what is the temperature in the living room", "stop", "a " * 100]


@pytest.mark.filterwarnings("ignore")
def test_the_layers_give_what_the_transformers_library_gives() -> None:
    transformers = pytest.importorskip("transformers")
    pretrained = packaged_minilm()
    tokenizer = transformers.AutoTokenizer.from_pretrained(pretrained.directory, local_files_only=True)
    encoder = transformers.BertModel.from_pretrained(
        pretrained.directory, local_files_only=True, add_pooling_layer=False, dtype=torch.float32
    ).eval()
    encoder.encoder.layer = encoder.encoder.layer[:-1]
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=48)
    with torch.inference_mode():
        expected = encoder(**batch).last_hidden_state
    for row, found in enumerate(LowerLayers(pretrained)(TEXTS)):
        length = int(batch["attention_mask"][row].sum())
        assert found.shape == (length, expected.shape[2])
        assert torch.allclose(found, expected[row, :length], atol=1e-4)


def test_a_text_has_the_same_states_in_any_company() -> None:
    layers = LowerLayers(packaged_minilm())
    alone = layers(TEXTS[:1])[0]
    assert torch.allclose(alone, layers(TEXTS)[0], atol=1e-4)


def test_a_cache_gives_back_what_was_computed(task: Task, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cache")
    first, second = (Trunk(task.trunk.pretrained, folder) for _ in range(2))
    first.preload(TEXTS)
    assert len(list(folder.iterdir())) == 1
    second.preload(TEXTS)
    assert all(torch.equal(*pair) for pair in zip(first.hidden(TEXTS), second.hidden(TEXTS), strict=True))


def test_other_weights_than_the_pinned_ones_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.raises(UntrustedWeightsError, match="no model"):
        verified(folder, "0" * 64)
    (folder / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(UntrustedWeightsError, match="expected"):
        verified(folder, "0" * 64)
