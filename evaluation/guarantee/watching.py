"""Judges a federation's evidence as the control plane does, and remembers who would have been quarantined, and when."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.behavior import Judge, Known, Peer
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms
from controlplane.contracts.evidence import UpdateEvidence

SEGMENT = "homes"


@dataclass
class Watch:
    """One judge over one federation.

    A quarantined subject is not judged any more and its scores leave the pool. The updates themselves stay in the
    stream, which several judges share.

    Args:
        terms: by which it is judged.
        alpha: who has evidence of ``1 / alpha`` is quarantined.
        tolerated: subjects that are never quarantined, whatever the evidence, so that their scores stay in the pool.

    Attributes:
        quarantined: the round, from 1, by subject.
        exceeded: the p-values before heterogeneity of each subject, by subject.
        peak: the largest evidence, by subject.
    """

    terms: BehaviourTerms
    alpha: float
    tolerated: frozenset[str] = frozenset()
    quarantined: dict[str, int] = field(default_factory=dict)
    exceeded: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peak: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with nobody known."""
        self._judge = Judge(self.terms)
        self._records: dict[str, BehaviourRecord] = {}
        self._recent: deque[list[tuple[str, Peer]]] = deque(maxlen=self.terms.window)
        self._turn = 0

    def judge(self, cohort: Mapping[str, UpdateEvidence]) -> None:
        """Take in the next round."""
        self._turn += 1
        free = [name for name in cohort if name not in self.quarantined or name in self.tolerated]
        known = {name: Known(self._records.get(name), SEGMENT) for name in free}
        judged = self._judge.updates(cohort, known, self._pools(), float(self._turn))
        scored = []
        for name, one in judged.items():
            self._records[name] = one.record
            self.peak[name] = max(self.peak.get(name, 0.0), one.e_value)
            if one.score is not None:
                scored.append((one.peers, Peer(name, one.score)))
            if one.p_value is not None:
                self.exceeded[name].append(one.p_value / self.terms.heterogeneity)
            if one.e_value >= 1.0 / self.alpha:
                self.quarantined.setdefault(name, self._turn)
        self._recent.append(scored)

    def _pools(self) -> dict[str, list[Peer]]:
        pools: dict[str, list[Peer]] = defaultdict(list)
        for scored in self._recent:
            for peers, peer in scored:
                if peer.subject not in self.quarantined or peer.subject in self.tolerated:
                    pools[peers].append(peer)
        return pools
