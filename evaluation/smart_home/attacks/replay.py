"""Sends again what was sent before, under a signature and a capability of today."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class Replay:
    """Re-sends an update of some earlier round: its own, or one that another device sent.

    Attributes:
        of_others: it takes another's.
        seed: fixes which.
    """

    of_others: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "replay"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the earlier update; in a first round there is none, and it sends what its training yielded."""
        earlier = [
            sent
            for cohort in known.history
            for device, sent in sorted(cohort.items())
            if (device != known.device) == self.of_others
        ]
        random = Random(f"{self.seed} {known.device} {known.turn}")  # noqa: S311 - a draw that a seed repeats, no secret
        return dict(random.choice(earlier)) if earlier else update
