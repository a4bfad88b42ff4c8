"""Updates are read once, tensor by tensor, and a few thousand values are kept in place of all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from adapters.screening.energy import Energies, Summed, exactly
from adapters.screening.manifest import Manifest
from adapters.screening.measure import LARGEST, MOST_VALUES, Measured, count
from adapters.screening.projection import Projection
from adapters.screening.sample import Sample
from adapters.screening.subspaces import UpProjections
from adapters.screening.values import Array, Doubles, cut, read_together

_TINY = 1e-30

_MOST_AT_ONCE = 12
_HELD = 1 << 25
"""Bytes of tensors that are copied into main memory at once, where they are not there already."""


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
        self._parameters = min(manifest.parameters, MOST_VALUES)
        self._pieces = cut(manifest)
        self.projection = Projection(manifest, self._pieces, seed)
        self._energies = Energies(self._pieces, len(manifest.tensors))
        self._sample = Sample(self._pieces, seed + 1)
        self._ups = UpProjections(manifest, seed + 2)
        largest = max(math.prod(spec.shape) * spec.dtype.itemsize for spec in manifest.tensors.values())
        self.at_once = min(max(_HELD // max(largest, 1), 1), _MOST_AT_ONCE)
        """Updates that it pays to reduce together."""

    def reduce(self, update: Mapping[str, object], digest: str) -> Reduced:
        """Reduce one untrusted update of a digest. Anything may be in it; nothing makes this raise."""
        return self.reduce_together([(update, digest)])[0]

    def reduce_together(self, updates: Sequence[tuple[Mapping[str, object], str]]) -> list[Reduced]:
        """Reduce untrusted updates, each with its digest, side by side: see `reduce`, which finds the same."""
        sound = {at: update for at, (update, _) in enumerate(updates) if self.manifest.fits(update)}
        readers = (self._energies, self.projection, self._sample)
        rows, sketches, samples = read_together(list(sound.values()), self.manifest, self._pieces, readers)
        found = zip(self._energies.summed(rows), sketches, samples, strict=True)
        reduced = {at: self._reduced(update, updates[at][1], *next(found)) for at, update in sound.items()}
        return [reduced.get(at) or Reduced(digest, Measured(count(one))) for at, (one, digest) in enumerate(updates)]

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

    def _reduced(
        self, update: Mapping[str, Tensor], digest: str, energies: Summed, sketch: Array, sample: Array
    ) -> Reduced:
        measured = self._measured(update, *energies)
        if not measured.is_comparable:
            return Reduced(digest, measured)
        return Reduced(digest, measured, sketch, sample, self._ups.take(update))

    def _measured(self, update: Mapping[str, Tensor], totals: Doubles, concentration: float | None) -> Measured:
        nonfinite, total = 0, float(totals.sum())
        if not _TINY < total < math.inf:
            # Something overflowed, vanished, or was not finite from the start.
            totals, nonfinite = exactly(update, list(self.manifest.tensors))
            concentration, total = None, float(totals.sum())
        if nonfinite or total <= 0.0:
            return Measured(self._parameters, nonfinite, True)
        return Measured(self._parameters, 0, True, min(total**0.5, LARGEST), (totals / total).tolist(), concentration)
