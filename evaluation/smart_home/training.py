"""Local training on one device's shard, and the two figures that a global model is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.model import TunedModel

Update = dict[str, Tensor]


@dataclass(frozen=True)
class LocalTraining:
    """How a device trains in one round.

    Attributes:
        epochs: passes over the shard.
        rate: SGD learning rate of the head.
        adapter_rate: SGD learning rate of the adapter.
        batch: sentences per step.
        examples: most sentences that a device draws from its shard for one round; 0 for all of them.
    """

    epochs: int = 1
    rate: float = 1.0
    adapter_rate: float = 0.1
    batch: int = 32
    examples: int = 0


def train_locally(model: TunedModel, shard: Sequence[Sentence], how: LocalTraining, seed: int) -> Update:
    """Train ``model`` in place on ``shard`` and return what changed: trained minus received, by tensor name."""
    before = model.trainable_state()
    head, adapter = list(model.head.parameters()), list(model.adapter.parameters())
    groups = [{"params": head, "lr": how.rate}, {"params": adapter, "lr": how.adapter_rate}]
    optimizer = torch.optim.SGD(groups)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(shard), generator=generator)[: how.examples or None]
    for _ in range(how.epochs):
        for chosen in torch.split(drawn[torch.randperm(len(drawn), generator=generator)], how.batch):
            batch = [shard[index] for index in chosen.tolist()]
            logits = model([sentence.text for sentence in batch])
            loss = F.cross_entropy(logits, torch.tensor([sentence.label for sentence in batch]))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {name: value - before[name] for name, value in model.trainable_state().items()}


def evaluate(model: TunedModel, sentences: Sequence[Sentence]) -> float:
    """Share of sentences whose intent is predicted rightly, in [0, 1]."""
    predicted = model.predict([sentence.text for sentence in sentences])
    return sum(p == s.label for p, s in zip(predicted, sentences, strict=True)) / len(sentences)


def attack_success(model: TunedModel, triggered: Sequence[Sentence], target: int) -> float:
    """Share of triggered sentences, none of which truly has intent ``target``, that are predicted as ``target``."""
    predicted = model.predict([sentence.text for sentence in triggered])
    return predicted.count(target) / len(triggered)
