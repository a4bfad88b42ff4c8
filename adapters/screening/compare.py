"""What each update is to the reference and to the others of its cohort, told from reduced updates alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapters.screening.cohort import Cohort
from adapters.screening.geometry import Geometry, segment_cosines
from adapters.screening.projection import Projection
from adapters.screening.reduce import Reduced
from adapters.screening.sample import low_frequencies, sign_agreements, sign_balances
from adapters.screening.subspaces import overlaps
from adapters.screening.values import Array


@dataclass(frozen=True)
class Comparison:
    """How one update stands to the reference and to the rest of its cohort; attributes as of `UpdateEvidence`.

    ``layer_cosines`` has all tensors, in the manifest's order; NaN where one has no direction.
    """

    cosine: float = -1.0
    sign_agreement: float = 0.0
    duplicates: int = 0
    layer_cosines: Sequence[float] = ()
    sign_balance: float | None = None
    twin_cosine: float | None = None
    centrality: float | None = None
    spectral_residual: float | None = None
    low_frequency: float | None = None
    subspace_overlap: float | None = None
    projection_error: float | None = None


@dataclass(frozen=True)
class _Aim:
    """What updates are compared with: one for all, or one for each. (rows, columns), and (rows, rows of B, rank)."""

    sketch: Array
    sample: Array
    ups: dict[str, Array]


def compare(cohort: Cohort, projection: Projection, root: Reduced | None) -> list[Comparison]:
    """Compare updates with ``root``, or else with the centre of the others.

    Without a reference and without others, or where a direction has no length, the cosine is -1 and the sign
    agreement 0: not measured, hence not acceptable.
    """
    geometry = Geometry.of(cohort.sketches, cohort.norms)
    aim = _centres(cohort, geometry) if root is None else _reference(root)
    by_layer, whole = segment_cosines(cohort.sketches, aim.sketch, projection.spans)
    columns = {
        "cosine": np.where(np.isnan(whole), -1.0, whole).tolist(),
        "sign_agreement": sign_agreements(cohort.samples, aim.sample),
        "duplicates": geometry.duplicates(),
        "layer_cosines": by_layer.tolist(),
        "sign_balance": sign_balances(cohort.samples),
        "twin_cosine": geometry.twins(),
        "centrality": geometry.centralities(),
        "spectral_residual": geometry.residuals(),
        "low_frequency": low_frequencies(cohort.samples),
        "subspace_overlap": _overlaps(cohort, aim),
        "projection_error": projection.errors(cohort.sketches).tolist(),
    }
    return [Comparison(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _reference(root: Reduced) -> _Aim:
    if root.sketch is None or root.sample is None:
        raise ValueError("the reference was not reduced")
    return _Aim(root.sketch[None], root.sample[None], {name: up[None] for name, up in root.ups.items()})


def _centres(cohort: Cohort, geometry: Geometry) -> _Aim:
    """For each update the centre of the others: the same mixture of them in every space."""
    mixture = geometry.centres().T
    ups = {name: _ups(cohort, name) for name in cohort.updates[0].ups}
    mixed = {name: (mixture @ up.reshape(len(up), -1)).reshape(up.shape) for name, up in ups.items()}
    return _Aim(mixture @ cohort.sketches, mixture @ cohort.samples, mixed)


def _ups(cohort: Cohort, name: str) -> Array:
    return np.stack([one.ups[name] for one in cohort.updates])


def _overlaps(cohort: Cohort, aim: _Aim) -> list[float | None]:
    """The mean over the up-projections; none for updates that have none."""
    found = [overlaps(_ups(cohort, name), up) for name, up in aim.ups.items()]
    return [sum(parts) / len(parts) for parts in zip(*found, strict=True)] if found else [None] * len(cohort.updates)
