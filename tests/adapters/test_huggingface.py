"""Clients that fine-tune with Hugging Face's Trainer, in a real round."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.guard import Guard, Member
from adapters.huggingface import GuardedCallback
from adapters.pytorch import GuardedRound

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate", reason="Trainer needs it")

Enrol = Callable[..., Member]
HEAD = ("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias")
EXAMPLES = 48
OWN = 8


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(5)]


class Words(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Sentences whose label is whether their first word is an even one; some of them are a client's own."""

    def __init__(self, seed: int) -> None:
        shared = torch.randint(0, 32, (EXAMPLES, 6), generator=torch.Generator().manual_seed(1_000))
        own = torch.randint(0, 32, (OWN, 6), generator=torch.Generator().manual_seed(seed))
        self.words = torch.cat([shared[OWN:], own])

    def __len__(self) -> int:
        return EXAMPLES

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return {"input_ids": self.words[number], "labels": self.words[number][0] % 2}


def tiny() -> Any:
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    shape |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=32, num_labels=2, **shape))


def head(model: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items() if name in HEAD}


def train(model: Any, callback: GuardedCallback, seed: int, folder: Path, **more: Any) -> None:
    given = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 0.05, **more}
    args = transformers.TrainingArguments(
        str(folder), report_to=[], disable_tqdm=True, save_strategy="no", logging_strategy="no", use_cpu=True, **given
    )
    transformers.Trainer(model, args, train_dataset=Words(seed), callbacks=[callback]).train()


def test_each_client_begins_with_the_round_s_weights_and_its_update_is_judged(
    guard: Guard, members: list[Member], tmp_path: Path
) -> None:
    weights = {name: tensor + 0.01 for name, tensor in head(tiny()).items()}
    with GuardedRound(guard, weights, members) as guarded:
        for number, member in enumerate(guarded.allowed()):
            callback = GuardedCallback(guarded, member)
            train(tiny(), callback, number, tmp_path)
            assert callback.examples == EXAMPLES
        after = guarded.aggregate()
    assert guarded.gated is not None
    assert len(guarded.gated.rulings) == len(members)
    # So small a model is not what the terms are calibrated for: an honest update may look unusual, and nothing worse.
    assert {ruling.cause for ruling in guarded.gated.rulings} <= {"", "update_plausible"}
    assert len(guarded.gated.accepted) >= 4
    assert all(not torch.equal(after[name], weights[name]) for name in HEAD)


def test_a_client_that_sends_the_contrary_is_left_out(guard: Guard, members: list[Member], tmp_path: Path) -> None:
    class Contrary(GuardedCallback):
        def on_train_end(self, *given: Any, **more: Any) -> None:
            model = more["model"]
            with torch.no_grad():
                for name, tensor in model.state_dict().items():
                    if name in HEAD:
                        tensor.copy_(guarded.state[name] - 3 * (tensor - guarded.state[name]))
            super().on_train_end(*given, **more)

    weights = head(tiny())
    with GuardedRound(guard, weights, members) as guarded:
        for number, member in enumerate(guarded.allowed()):
            train(tiny(), (Contrary if number == 0 else GuardedCallback)(guarded, member), number, tmp_path)
        guarded.aggregate()
    assert guarded.gated is not None
    assert members[0].id not in {ruling.subject for ruling in guarded.gated.accepted}
    assert len(guarded.gated.accepted) >= 3


def test_a_training_that_ended_early_claims_what_it_saw(guard: Guard, members: list[Member], tmp_path: Path) -> None:
    with GuardedRound(guard, head(tiny()), members[:1]) as guarded:
        callback = GuardedCallback(guarded, members[0])
        train(tiny(), callback, 0, tmp_path, max_steps=2)
    assert callback.examples == 16


def test_a_model_without_the_round_s_tensors_is_told_what_to_do(
    guard: Guard, members: list[Member], tmp_path: Path
) -> None:
    def fails(state: dict[str, Tensor], match: str) -> None:
        with GuardedRound(guard, state, members[:1]) as guarded, pytest.raises(ValueError, match=match):
            train(tiny(), GuardedCallback(guarded, members[0]), 0, tmp_path)

    fails({"other": torch.zeros(2)}, r"'other' is missing in the model.*state_dict")
    fails({"classifier.bias": torch.zeros(9)}, r"has the shape \[2\].*should be \[9\]")
