"""What is submitted to a round, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from adapters.aggregation import aggregate
from adapters.credentials import Credentials
from adapters.privacy import noised_mean
from adapters.screening import Source
from controlplane.contracts.decision import Aggregation
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.privacy import PrivacyTerms
from controlplane.contracts.rollback import Rollback
from controlplane.contracts.rounds import UpdateVerdict


@dataclass(frozen=True)
class Submission:
    """One update as it arrived; nothing in it is believed.

    Attributes:
        subject: whom the connection belongs to.
        update: name -> tensor, trained minus received; or the safetensors file that has it, which nobody else may be
            able to write.
        examples: training examples behind it, as the device claims.
        credentials: what came with it; none when nothing did.
        sealed_to: digest of the key of this aggregator that it came sealed to; none where it came in the clear.
    """

    subject: str
    update: Source
    examples: int
    credentials: Credentials | None
    sealed_to: str | None = None


@dataclass(frozen=True)
class Ruling:
    """What becomes of one submission.

    Attributes:
        subject: whose it is.
        accepted: it may enter the aggregate.
        cause: why not; empty when accepted.
        verdict: the control plane's; none when it could not be asked.
        evidence: what screening measured; none when the credentials did not hold.
        update: what enters the aggregate, clipped; none unless accepted.
        scale: what it was multiplied with, in (0, 1]; 1 for an update that was not clipped.
        weight: the claimed examples, bounded by a multiple of the accepted updates' median.
    """

    subject: str
    accepted: bool
    cause: str
    verdict: UpdateVerdict | None = None
    evidence: UpdateEvidence | None = None
    update: Mapping[str, Tensor] | None = None
    scale: float = 1.0
    weight: int = 0


@dataclass(frozen=True)
class Gated:
    """The rulings on a round's submissions, in their order.

    Attributes:
        rollbacks: what is ordered for the round's model and not done yet, oldest first.
        sums: of groups that were accepted, each with how many updates are in it; empty where updates are seen.
    """

    rulings: tuple[Ruling, ...]
    rollbacks: tuple[Rollback, ...] = ()
    sums: tuple[tuple[Mapping[str, Tensor], int], ...] = ()

    @property
    def accepted(self) -> list[Ruling]:
        """The rulings whose updates may enter the aggregate."""
        return [ruling for ruling in self.rulings if ruling.accepted]

    def mean(self) -> dict[str, Tensor] | None:
        """The weighted mean of the accepted updates, or none when nothing was accepted."""
        parts = [(weight, update) for update, weight in self._parts()]
        total = sum(weight for weight, _ in parts)
        if not parts or not total:
            return None
        names = parts[0][1]
        return {name: sum((w / total) * update[name] for w, update in parts) for name in names}  # type: ignore[misc]

    def _parts(self) -> list[tuple[Mapping[str, Tensor], int]]:
        """What enters the aggregate, each with its weight."""
        updates = [(ruling.update, ruling.weight) for ruling in self.accepted if ruling.update is not None]
        return [*updates, *self.sums]

    def aggregate(self, method: Aggregation, noise: PrivacyTerms | None = None) -> dict[str, Tensor] | None:
        """Return the one update, in float64, that the accepted ones become, or none when nothing was accepted.

        Args:
            method: how.
            noise: clip each and add noise to their sum by these terms; the mean is taken then, and claims do not weigh.
        """
        parts = self._parts()
        if noise is not None:
            found = noised_mean([update for update, _ in parts], noise) if parts else {}
            return {name: torch.from_numpy(array) for name, array in found.items()} or None
        if not sum(weight for _, weight in parts):
            return None
        return aggregate(method, [update for update, _ in parts], [weight for _, weight in parts])


def clip_scale(verdict: UpdateVerdict, evidence: UpdateEvidence) -> float:
    """Return what an accepted update is multiplied with, so that its norm stays within the verdict's bound."""
    bound = verdict.clip_norm_ratio
    return 1.0 if bound is None or evidence.norm_ratio <= bound else bound / evidence.norm_ratio


def bounded_weights(claims: Sequence[int], ratio: float) -> list[int]:
    """Return the claimed numbers of examples, none above ``ratio`` times their median.

    Claims cannot be checked; without a bound one device could outweigh all others.
    """
    if not claims:
        return []
    most = max(1, int(ratio * median(claims)))
    return [min(claim, most) for claim in claims]
