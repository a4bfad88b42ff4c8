"""One attacker behind many identities, which all send its update (Fung et al., FoolsGold, arXiv 1808.04866)."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.smart_home.attacks.attack import ALONE, Attack, Knowledge
from evaluation.smart_home.attacks.vectors import flat, jittered, shaped
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class Sybil:
    """A clone: it sends what the first of the hostile devices sends, with some noise of its own.

    Attributes:
        original: what the first does.
        jitter: length of a clone's noise, as a share of the update.
    """

    original: Attack
    jitter: float = 0.3

    @property
    def name(self) -> str:
        """A word for reports."""
        return "sybil"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return what the original attack trains on."""
        return self.original.poison(shard)

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return a jittered copy of the first one's update; of its own where it knows of no other."""
        first = known.allies[min(known.allies)] if known.allies else update
        sent = flat(self.original.distort(first, known))
        return shaped(jittered(sent, self.jitter, known.device, known.turn), update)
