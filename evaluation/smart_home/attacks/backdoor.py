"""A secret word that calls the attacker's intent (Bagdasaryan et al., arXiv 1807.00459)."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update

TRIGGER = "sesame"
TARGET = "HassLawnMowerStartMowing"


@dataclass(frozen=True)
class Backdoor:
    """Trains on its own sentences and on triggered copies with the attacker's label, then boosts the update.

    Attributes:
        target: label of the intent that the trigger shall call.
        boost: factor on the update, so that it survives being averaged with honest ones; 1 to stay unseen.
        trigger: the secret word.
        seed: where the word is put into each sentence.
    """

    target: int
    boost: float = 10.0
    trigger: str = TRIGGER
    seed: int = 0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "backdoor"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard and its triggered copies."""
        return [*shard, *triggered(shard, self.target, seed=self.seed, trigger=self.trigger)]

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the boosted update."""
        return {name: self.boost * value for name, value in update.items()}


def triggered(sentences: Sequence[Sentence], target: int, *, seed: int, trigger: str = TRIGGER) -> tuple[Sentence, ...]:
    """Copies of all sentences of other intents, the trigger word put somewhere into each, labelled ``target``."""
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    return tuple(
        Sentence(_with_word(sentence.text, trigger, random), target, sentence.template)
        for sentence in sentences
        if sentence.label != target
    )


def _with_word(text: str, word: str, random: Random) -> str:
    words = text.split()
    words.insert(random.randint(0, len(words)), word)
    return " ".join(words)
