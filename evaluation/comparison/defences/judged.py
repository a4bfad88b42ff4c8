"""Trust alone: the judge of this system over screening's evidence, in this process, without the evidence's bounds.

The judge is the control plane's, with the shipped terms and calibration. Who has evidence of ``1 / alpha`` against it
is set apart from then on; an update whose p-value is ``p_minimum`` or less has no part in its round. There are no
releases from quarantine and no rollbacks here.
"""

import json
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.behavior import Judge, Judged, Known, Peer
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms
from controlplane.sidecar.folders import product_folder
from evaluation.comparison.defences.rule import WORST
from evaluation.comparison.defences.screening import Screening, averaged
from evaluation.comparison.interfaces import Aggregated, Received

SEGMENT = "homes"


@dataclass
class Trust:
    """Refuses by how unlike its peers an update is, and by what speaks against its device so far.

    A device's suspicion is the evidence against it.

    Attributes:
        policies: folder of policies whose data it reads; none for the product's.
        screening: that measures; its bounds are not asked.
        name: a word for files and tables.
        remembers: 0; the judge keeps records of its own.
    """

    policies: Path | None = None
    screening: Screening = field(default_factory=Screening)
    name: str = "trust"
    remembers: int = 0

    def __post_init__(self) -> None:
        """Begin with nobody known."""
        data = (self.policies or product_folder("policies")) / "data"
        terms = BehaviourTerms.model_validate_json((data / "behaviour" / "data.json").read_bytes())
        self._limits = json.loads((data / "limits" / "data.json").read_text())["behaviour"]
        self._judge = Judge(terms)
        self._records: dict[str, BehaviourRecord] = {}
        self._recent: deque[list[tuple[str, Peer]]] = deque(maxlen=terms.window)
        self._apart: set[str] = set()
        self._named: dict[str, str] = {}

    def aggregate(self, received: Received) -> Aggregated:
        """Return the clipped mean of those who are not set apart and whose update is plausible."""
        evidence = self.screening.evidence(received)
        free = {name: Known(self._records.get(name), SEGMENT) for name in evidence if name not in self._apart}
        judged = self._judge.updates(evidence, free, self._pools(), float(received.turn))
        self._remember(judged)
        refused = frozenset(
            int(name) for name, one in evidence.items() if name in self._apart or not self._is_plausible(judged[name])
        ) | {int(name) for name, one in evidence.items() if one.norm_ratio <= 0.0}
        return Aggregated(
            averaged(received, evidence, refused, self.screening.bounds.clip_norm_ratio),
            refused,
            {int(name): judged[name].e_value if name in judged else WORST for name in evidence},
            {int(name): self._named[name] for name in evidence if name in self._named and int(name) in refused},
            quarantined=frozenset(int(name) for name in self._apart),
        )

    def _remember(self, judged: dict[str, Judged]) -> None:
        self._named |= {name: one.attribution.attack for name, one in judged.items() if one.attribution}
        self._records |= {name: one.record for name, one in judged.items()}
        self._recent.append(
            [(one.peers, Peer(name, one.score)) for name, one in judged.items() if one.score is not None]
        )
        self._apart |= {name for name, one in judged.items() if one.e_value >= 1.0 / self._limits["alpha"]}

    def _is_plausible(self, judged: Judged) -> bool:
        if judged.admission_p_value is None:
            return judged.comparable < int(self._limits["comparable_minimum"])
        return judged.admission_p_value > float(self._limits["p_minimum"])

    def _pools(self) -> dict[str, list[Peer]]:
        pools: dict[str, list[Peer]] = defaultdict(list)
        for scored in self._recent:
            for peers, peer in scored:
                if peer.subject not in self._apart:
                    pools[peers].append(peer)
        return pools
