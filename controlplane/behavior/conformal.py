"""Conformal p-values: how many comparable peers deviate as much.

If a score is exchangeable with those of its pool, the share of the pool that reaches it (counting itself) is a valid
p-value, whatever the scores' distribution is (Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005;
Bates et al.: Testing for outliers with conformal p-values, Annals of Statistics 51, 2023). Honest devices are not
quite exchangeable, because their data differ for good: so a p-value is multiplied by the factor by which an honest one
may deviate more often than its peers do.

Whoever is in the pool with accomplices looks usual beside them. Evidence may wait until there is enough of it, so bets
keep the whole pool, and what is promised to the honest stands; an update is in the model at once, so its admission is
not up to peers alone (`Pool.admission_p_value`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """One earlier observation of somebody.

    Attributes:
        subject: who.
        score: how much it deviated.
    """

    subject: str
    score: float


class Pool:
    """Scores to compare with: a calibration's, and those of peers in recent rounds.

    Args:
        calibration: scores of honest peers, ascending.
        recent: earlier observations; a subject's own are left out of its comparison, or it could get the pool used to
            its ways.
    """

    def __init__(self, calibration: Sequence[float], recent: Iterable[Peer] = ()) -> None:
        self._calibration = calibration
        self._own: dict[str, list[float]] = {}
        for peer in recent:
            self._own.setdefault(peer.subject, []).append(peer.score)
        self._recent = sorted(score for scores in self._own.values() for score in scores)

    def comparable(self, subject: str) -> int:
        """How many scores ``subject``'s is compared with."""
        return len(self._calibration) + len(self._recent) - len(self._own.get(subject, ()))

    def p_value(self, subject: str, score: float, heterogeneity: float) -> float:
        """Return ``heterogeneity`` times the share that reaches ``score``, the score itself included; 1 at most.

        Ties count as reached. The least that can come out is ``heterogeneity / (comparable + 1)``.
        """
        reached = _reaching(self._calibration, score) + _reaching(self._recent, score)
        reached -= sum(own >= score for own in self._own.get(subject, ()))
        return _share(reached, self.comparable(subject), heterogeneity)

    def admission_p_value(self, subject: str, score: float, heterogeneity: float) -> float:
        """Return the smaller of `p_value` and the one that the calibration alone gives: recent peers only lower it.

        Without a calibration it is `p_value`. Peers who were plausible by the calibration could be kept in the
        comparison, but they could never raise what it finds implausible: they would cost memory and admit nobody more.
        """
        calibrated = _share(_reaching(self._calibration, score), len(self._calibration), heterogeneity)
        return min(self.p_value(subject, score, heterogeneity), calibrated)


def _share(reached: int, comparable: int, heterogeneity: float) -> float:
    return min(1.0, heterogeneity * (1 + reached) / (comparable + 1))


def _reaching(ascending: Sequence[float], score: float) -> int:
    return len(ascending) - bisect_left(ascending, score)
