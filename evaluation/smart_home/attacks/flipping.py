"""Turned around: the update (Li et al., RSA, arXiv 1811.03761), or the labels (Tolpegin et al., arXiv 2007.08432)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class SignFlip:
    """Trains honestly, then pushes the model the other way.

    Attributes:
        scale: how much harder than an honest device pushes.
    """

    scale: float = 5.0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "sign_flip"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the negated, scaled update."""
        return {name: -self.scale * value for name, value in update.items()}


@dataclass(frozen=True)
class LabelFlip:
    """Trains on its own sentences, each with the label of the next intent, and sends what that yields.

    Attributes:
        intents: how many there are.
    """

    intents: int

    @property
    def name(self) -> str:
        """A word for reports."""
        return "label_flip"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the sentences with wrong labels."""
        return [replace(sentence, label=(sentence.label + 1) % self.intents) for sentence in shard]

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the update as it is."""
        return update
