"""Data that the aggregator trusts, as a federation brings it along."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class TrustedData(Protocol):
    """Trains on data which the aggregator trusts; a plan names it as ``guard.reference``."""

    def reference(self, round_number: int, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Return the update that trusted data yields from a round's weights, or none to compare updates alone."""
        ...
