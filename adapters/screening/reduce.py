"""An update is read once, tensor by tensor, and a few thousand values are kept in place of all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from adapters.screening.energy import Energies, exactly
from adapters.screening.manifest import Manifest
from adapters.screening.measure import LARGEST, Measured, count
from adapters.screening.projection import Projection
from adapters.screening.sample import Sample
from adapters.screening.subspaces import UpProjections
from adapters.screening.values import Array, cut, read_all

_TINY = 1e-30


@dataclass(frozen=True)
class Reduced:
    """One update, reduced.

    Attributes:
        digest: canonical digest.
        measured: by itself.
        sketch: (buckets,); none for an update that may not be compared with others.
        sample: (values,); none likewise.
        ups: up-projections, brought down, by name.
    """

    digest: str
    measured: Measured
    sketch: Array | None = None
    sample: Array | None = None
    ups: Mapping[str, Array] = field(default_factory=dict)


class Lens:
    """Reduces updates of one form, all in the same secret way.

    Args:
        manifest: the form.
        seed: the secret.
    """

    def __init__(self, manifest: Manifest, seed: int) -> None:
        self.manifest = manifest
        self._pieces = cut(manifest)
        self.projection = Projection(manifest, self._pieces, seed)
        self._energies = Energies(self._pieces, len(manifest.tensors))
        self._sample = Sample(self._pieces, seed + 1)
        self._ups = UpProjections(manifest, seed + 2)

    def reduce(self, update: Mapping[str, object], digest: str) -> Reduced:
        """Reduce one untrusted update of a digest. Anything may be in it; nothing makes this raise."""
        if not self.manifest.fits(update):
            return Reduced(digest, Measured(count(update)))
        readers = (self._energies, self.projection, self._sample)
        rows, sketch, sample = read_all(update, self.manifest, self._pieces, readers)
        measured = self._measured(update, rows)
        if not measured.is_comparable:
            return Reduced(digest, measured)
        return Reduced(digest, measured, sketch, sample, self._ups.take(update))

    def reference(self, update: Mapping[str, Tensor]) -> Reduced:
        """Reduce the update that trusted data yields. One without a measurable length has no direction: it is all zero.

        Raises:
            ValueError: it does not fit, or is not finite.
        """
        reduced = self.reduce(update, "")
        if not reduced.measured.shapes_match or reduced.measured.nonfinite:
            raise ValueError("the reference update does not fit the manifest or is not finite")
        if reduced.sketch is not None:
            return reduced
        sketch, sample = (np.zeros(reader.width, dtype=np.float32) for reader in (self.projection, self._sample))
        return Reduced("", reduced.measured, sketch, sample, self._ups.blank())

    def _measured(self, update: Mapping[str, Tensor], rows: Array) -> Measured:
        totals, concentration = self._energies.summed(rows)
        nonfinite, total = 0, float(totals.sum())
        if not _TINY < total < math.inf:
            # Something overflowed, vanished, or was not finite from the start.
            totals, nonfinite = exactly(update, list(self.manifest.tensors))
            concentration, total = None, float(totals.sum())
        if nonfinite or total <= 0.0:
            return Measured(count(update), nonfinite, True)
        return Measured(count(update), 0, True, min(total**0.5, LARGEST), (totals / total).tolist(), concentration)
