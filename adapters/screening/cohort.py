"""The updates of a round that may be compared with one another, reduced, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from adapters.screening.projection import fold
from adapters.screening.reduce import Reduced
from adapters.screening.values import Array, Doubles


@dataclass(frozen=True)
class Cohort:
    """At least one update.

    Attributes:
        subjects: whose they are.
        updates: reduced, in that order.
        sketches: (updates, buckets).
        samples: (updates, values).
    """

    subjects: Sequence[str]
    updates: Sequence[Reduced]
    sketches: Array
    samples: Array

    @classmethod
    def of(cls, reduced: Mapping[str, Reduced]) -> Self | None:
        """Return the cohort of those which may be compared, or none where there is nobody."""
        found = {subject: one for subject, one in reduced.items() if one.sketch is not None and one.sample is not None}
        if not found:
            return None
        sketches = np.stack([one.sketch for one in found.values() if one.sketch is not None])
        samples = np.stack([one.sample for one in found.values() if one.sample is not None])
        return cls(list(found), list(found.values()), sketches, samples)

    @cached_property
    def norms(self) -> Doubles:
        """Of the updates."""
        return np.array([one.measured.norm for one in self.updates])

    @cached_property
    def directions(self) -> Array:
        """What is remembered: short sketches of length 1, (updates, folded buckets)."""
        short = fold(self.sketches)
        lengths = np.sqrt(np.einsum("ij,ij->i", short, short))
        return np.asarray(short / np.maximum(lengths, np.float32(1e-30))[:, None])
