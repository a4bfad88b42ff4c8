"""Comes and goes: honest for some rounds, hostile for as many, and again."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.smart_home.attacks.attack import ALONE, Attack, Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class Rhythm:
    """When somebody attacks.

    Attributes:
        onset: the first round, from 1.
        period: rounds of attacking, and then as many of peace; 0 for attacking ever after.
    """

    onset: int = 1
    period: int = 0

    def acts(self, turn: int) -> bool:
        """Whether a round, from 1, is one of attacking."""
        since = turn - self.onset
        return since >= 0 and (self.period == 0 or since // self.period % 2 == 0)


@dataclass(frozen=True)
class Sleeper:
    """Another attack, in some rounds only. In the others it sends what its training yielded.

    What it trains on is the other attack's data in every round: whoever trains the devices asks `Rhythm.acts` too, and
    lets them train on their own in rounds of peace.

    Attributes:
        original: the other attack.
        rhythm: when.
    """

    original: Attack
    rhythm: Rhythm

    @property
    def name(self) -> str:
        """A word for reports."""
        return f"sleeping_{self.original.name}"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return what the other attack trains on."""
        return self.original.poison(shard)

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return what the other attack sends, or ``update`` in a round of peace."""
        return self.original.distort(update, known) if self.rhythm.acts(known.turn) else update
