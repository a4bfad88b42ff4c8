"""One attack's data under another one's updates."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.smart_home.attacks.attack import ALONE, Attack, Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class Combined:
    """Trains as one attack does, and sends what another makes of it.

    Attributes:
        training: whose data it trains on.
        sending: what becomes of the update.
    """

    training: Attack
    sending: Attack

    @property
    def name(self) -> str:
        """A word for reports."""
        return f"{self.sending.name}_{self.training.name}"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return what the first trains on."""
        return self.training.poison(shard)

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return what the second sends."""
        return self.sending.distort(update, known)
