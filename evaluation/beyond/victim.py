"""A small model that is asked through capabilities, and what a prober learns from its answers.

Both are linear over hashed words of the demo's sentences: small enough to be trained in seconds, and a model that the
prober can imitate, which is the harder case for whoever defends it.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from random import Random

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from evaluation.smart_home.corpus import Sentence, build_corpus

WIDTH = 1024
STEPS, RATE = 150, 40.0


class Words:
    """Logits of sentences: a linear map of their hashed words and pairs of words.

    Args:
        classes: number of intents.
    """

    def __init__(self, classes: int) -> None:
        self._weight = torch.zeros(classes, WIDTH)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Logits, [texts, classes]."""
        return _features(texts) @ self._weight.T

    def learn(self, texts: Sequence[str], wanted: Tensor, steps: int = STEPS) -> None:
        """Fit probabilities, [texts, classes], by gradient descent on the cross entropy of all of them."""
        features = _features(texts)
        for _ in range(steps):
            wrong = torch.softmax(features @ self._weight.T, dim=1) - wanted
            self._weight -= RATE / len(texts) * wrong.T @ features

    def labels(self, texts: Sequence[str]) -> list[int]:
        """The most likely intent of each sentence."""
        return [int(label) for label in self(texts).argmax(dim=1)]


@dataclass(frozen=True)
class Victim:
    """A model that was trained, and the sentences around it.

    Attributes:
        model: what is asked.
        intents: their names.
        members: that it was trained on.
        others: like them, that it was not.
        known: sentences that a prober has of his own.
    """

    model: Words
    intents: tuple[str, ...]
    members: tuple[Sentence, ...]
    others: tuple[Sentence, ...]
    known: tuple[Sentence, ...]


@lru_cache(maxsize=1)
def trained(sentences: int, seed: int = 0) -> Victim:
    """Train on half of some sentences; the rest of the corpus is what a prober has."""
    corpus = build_corpus(seed)
    drawn = list(corpus.sentences)
    Random(seed).shuffle(drawn)  # noqa: S311 - a draw that a seed repeats, no secret
    half = sentences // 2
    members, others, known = drawn[:half], drawn[half:sentences], drawn[sentences:]
    model = Words(len(corpus.intents))
    labels = torch.tensor([sentence.label for sentence in members])
    model.learn([sentence.text for sentence in members], F.one_hot(labels, len(corpus.intents)).float())
    return Victim(model, corpus.intents, tuple(members), tuple(others), tuple(known))


def _features(texts: Sequence[str]) -> Tensor:
    found = torch.zeros(len(texts), WIDTH)
    for row, text in enumerate(texts):
        words = text.lower().split()
        for word in (*words, *map(" ".join, pairwise(words))):
            found[row, zlib.crc32(word.encode()) % WIDTH] += 1.0
    return F.normalize(found, dim=1)
