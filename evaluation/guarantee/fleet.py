"""Many small federations at once: honest homes that train a low-rank adapter and a head on frozen sentence vectors.

The sentences, the frozen encoder and the kind of update are the demo's; only the adapter sits on the finished
sentence vector instead of inside the last layer, so that a thousand homes train for two hundred rounds in minutes
on one core: gradients are written out, and the homes of a federation are one batched product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.model import ADAPTER_SCALE, LOGIT_SCALE, RANK, TunedModel
from evaluation.smart_home.task import Task

BATCH = 32
EMBEDDED_AT_ONCE = 256
ROOT_PASSES = 2

State = dict[str, Tensor]


@dataclass(frozen=True)
class Vectors:
    """What every home computes from a sentence before it trains.

    Attributes:
        sentences: unit vectors, (sentences, width).
        lowered: their frozen down-projections, (sentences, rank).
        labels: (sentences,).
        classes: number of labels.
    """

    sentences: Tensor
    lowered: Tensor
    labels: Tensor
    classes: int

    def initial(self) -> State:
        """The state before the first round."""
        rank, width = self.lowered.shape[1], self.sentences.shape[1]
        return {
            "adapter.vector_up": torch.zeros(width, rank),
            "head.bias": torch.zeros(self.classes),
            "head.weight": torch.zeros(self.classes, width),
        }


@dataclass(frozen=True)
class Data:
    """What there is to train on.

    Attributes:
        train: of the homes.
        root: the server's own few trusted sentences.
    """

    train: Vectors
    root: Vectors


def embedded(task: Task) -> Data:
    """Return the vectors of a task's training and root sentences, as its untrained model has them."""
    model = task.model()
    generator = torch.Generator().manual_seed(task.seed)
    width = model.head.in_features
    down = torch.randn(RANK, width, generator=generator) / width**0.5
    classes = len(task.corpus.intents)
    return Data(*(_vectors(model, part, down, classes) for part in (task.split.train, task.split.root)))


def shards(labels: Tensor, homes: int, size: int, alpha: float, rng: np.random.Generator) -> Tensor:
    """Draw each home's sentences: a label mix from Dirichlet(``alpha``), then sentences of it, with replacement.

    Args:
        labels: of all sentences there are.
        homes: how many.
        size: sentences of each.
        alpha: the smaller, the more a home keeps to few labels.
        rng: draws.

    Returns:
        Indices into ``labels``, (homes, size).
    """
    found: NDArray[np.int64] = labels.numpy()
    by_label = [np.flatnonzero(found == label) for label in range(int(found.max()) + 1)]
    mixes = rng.dirichlet([alpha] * len(by_label), size=homes)
    rows = [[rng.choice(by_label[label]) for label in rng.choice(len(by_label), size, p=mix)] for mix in mixes]
    return torch.tensor(np.array(rows))


def train(
    vectors: Vectors, state: State, shard: Tensor, rate: float, adapter_rate: float, rng: torch.Generator
) -> State:
    """One pass of SGD of every home from the same state; returns the updates, trained minus received.

    Args:
        vectors: of all sentences.
        state: what the homes received.
        shard: each home's sentences, (homes, size).
        rate: learning rate of the head.
        adapter_rate: learning rate of the adapter.
        rng: draws the order of sentences.

    Returns:
        By tensor name, (homes, *shape).
    """
    homes = len(shard)
    trained = {name: value.expand(homes, *value.shape).clone() for name, value in state.items()}
    order = torch.rand(shard.shape, generator=rng).argsort(dim=1)
    for chosen in torch.split(shard.gather(1, order), BATCH, dim=1):
        _step(trained, vectors, chosen, rate, adapter_rate)
    return {name: value - state[name] for name, value in trained.items()}


def reference(data: Data, state: State, rate: float, adapter_rate: float, rng: torch.Generator) -> State:
    """The update that the server's own sentences yield."""
    moved, own = state, torch.arange(len(data.root.labels))[None]
    for _ in range(ROOT_PASSES):
        update = train(data.root, moved, own, rate, adapter_rate, rng)
        moved = {name: value + update[name][0] for name, value in moved.items()}
    return {name: value - state[name] for name, value in moved.items()}


def _step(trained: State, vectors: Vectors, chosen: Tensor, rate: float, adapter_rate: float) -> None:
    """One step for all homes; ``chosen`` is (homes, batch)."""
    up, bias, weight = trained["adapter.vector_up"], trained["head.bias"], trained["head.weight"]
    lowered = vectors.lowered[chosen]
    adapted = torch.baddbmm(vectors.sentences[chosen], lowered, up.transpose(1, 2), alpha=ADAPTER_SCALE)
    logits = torch.baddbmm(bias[:, None], adapted, weight.transpose(1, 2), alpha=LOGIT_SCALE)
    wrong = logits.softmax(dim=2)
    wrong.scatter_add_(2, vectors.labels[chosen][..., None], -torch.ones_like(wrong[..., :1]))
    wrong /= chosen.shape[1]
    pull = torch.bmm(wrong, weight)
    weight.baddbmm_(wrong.transpose(1, 2), adapted, alpha=-rate * LOGIT_SCALE)
    bias -= rate * wrong.sum(dim=1)
    up.baddbmm_(pull.transpose(1, 2), lowered, alpha=-adapter_rate * LOGIT_SCALE * ADAPTER_SCALE)


@torch.no_grad()
def _vectors(model: TunedModel, part: Sequence[Sentence], down: Tensor, classes: int) -> Vectors:
    texts = [sentence.text for sentence in part]
    parts = [model.embed(texts[at : at + EMBEDDED_AT_ONCE]) for at in range(0, len(texts), EMBEDDED_AT_ONCE)]
    found = torch.cat(parts)
    return Vectors(found, found @ down.T, torch.tensor([sentence.label for sentence in part]), classes)
