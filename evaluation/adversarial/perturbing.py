"""Perturbations of sentence vectors within a norm: the worst that can be found near what a model was asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.model import LOGIT_SCALE, TunedModel

_BATCH = 256


@dataclass(frozen=True)
class Perturbation:
    """How far vectors are moved, and how the way is found.

    One step is the fast gradient method (Goodfellow et al., arXiv 1412.6572) in the L2 norm; several are projected
    gradient descent (Madry et al., arXiv 1706.06083). Vectors have length 1: a radius of 0.3 turns one by
    up to 17 degrees.

    Attributes:
        radius: L2 norm of what is added, at most; 0 adds nothing.
        steps: gradient steps.
    """

    radius: float
    steps: int = 1

    @property
    def stride(self) -> float:
        """Length of a step: all of the way in one, two and a half times its share in several, to come round corners."""
        return self.radius if self.steps == 1 else 2.5 * self.radius / self.steps


def perturbed(model: TunedModel, vectors: Tensor, labels: Tensor, how: Perturbation) -> Tensor:
    """Return vectors that the model's head understands worse, [texts, width]; no gradient leads through them."""
    start = vectors.detach()
    added = torch.zeros_like(start)
    for _ in range(how.steps if how.radius > 0.0 else 0):
        moved = (start + added).requires_grad_()
        [slope] = torch.autograd.grad(F.cross_entropy(understood(model, moved), labels), moved)
        added = added + how.stride * F.normalize(slope, dim=1)
        added = added * (how.radius / added.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)
    return start + added


def understood(model: TunedModel, vectors: Tensor) -> Tensor:
    """Logits of sentence vectors, [texts, classes]."""
    logits: Tensor = model.head(LOGIT_SCALE * vectors)
    return logits


def accuracy(model: TunedModel, sentences: Sequence[Sentence], how: Perturbation) -> float:
    """Share of sentences that are understood rightly though their vectors are perturbed, in [0, 1]."""
    right = 0
    for start in range(0, len(sentences), _BATCH):
        batch = sentences[start : start + _BATCH]
        labels = torch.tensor([sentence.label for sentence in batch])
        with torch.no_grad():
            vectors = model.embed([sentence.text for sentence in batch])
        found = perturbed(model, vectors, labels, how)
        right += int((understood(model, found).argmax(dim=1) == labels).sum())
    return right / len(sentences)
