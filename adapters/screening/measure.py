"""What can be said of one update alone, before it is compared with anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from adapters.screening.manifest import Manifest
from adapters.screening.streaming import Streamed
from controlplane.contracts.evidence import MAX_LAYERS

LARGEST = 1e12
MOST_VALUES = 1_000_000_000
LONGEST_NAME = 128


@dataclass(frozen=True)
class Measured:
    """One update by itself.

    Attributes:
        parameters: number of values.
        nonfinite: NaN or infinite values among them; only counted where the manifest fits.
        shapes_match: the manifest fits.
        norm: Euclidean norm, capped at 1e12; 0 where it cannot be measured.
        shares: share of the squared norm by tensor, in the manifest's order; empty where it cannot be measured.
        concentration: see `UpdateEvidence`.
    """

    parameters: int
    nonfinite: int = 0
    shapes_match: bool = False
    norm: float = 0.0
    shares: Sequence[float] = ()
    concentration: float | None = None

    @property
    def is_comparable(self) -> bool:
        """Whether it may be compared with others: it fits, is finite, and its norm lies in (0, 1e12)."""
        return 0.0 < self.norm < LARGEST


def count(update: Mapping[str, object]) -> int:
    """Return the number of values in whatever came, a billion at most."""
    if isinstance(update, Streamed):
        return min(update.parameters, MOST_VALUES)
    return min(sum(value.numel() for value in update.values() if isinstance(value, Tensor)), MOST_VALUES)


def largest_layers(manifest: Manifest, shares: Sequence[float]) -> dict[str, int]:
    """Return which tensors hold most of an update's squared norm, the largest 64: name -> place in the manifest.

    Names are cut to their last 128 characters.
    """
    named = {name: place for place, name in enumerate(manifest.tensors) if name} if shares else {}
    largest = sorted(named, key=lambda name: shares[named[name]], reverse=True) if len(named) > MAX_LAYERS else named
    return {name[-LONGEST_NAME:]: named[name] for name in islice(largest, MAX_LAYERS)}
