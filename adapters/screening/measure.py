"""What can be said of one update alone, before it is compared with anything."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.screening.digest import update_digest
from adapters.screening.manifest import Manifest
from controlplane.contracts.evidence import MAX_LAYERS

LARGEST = 1e12
MOST_VALUES = 1_000_000_000
LONGEST_NAME = 128


@dataclass(frozen=True)
class Measured:
    """One update by itself.

    Attributes:
        digest: canonical digest.
        parameters: number of values.
        nonfinite: NaN or infinite values among them; only counted where the manifest fits.
        shapes_match: the manifest fits.
        norm: Euclidean norm, capped at 1e12; 0 where it cannot be measured.
        layer_shares: share of the squared norm by tensor, the largest 64.
        tensors: the update itself where it may be compared with others, else none.
    """

    digest: str
    parameters: int
    nonfinite: int
    shapes_match: bool
    norm: float
    layer_shares: Mapping[str, float]
    tensors: Mapping[str, Tensor] | None


def measure(update: Mapping[str, object], manifest: Manifest) -> Measured:
    """Measure one untrusted update. Anything may be in it; nothing makes this raise.

    Only an update that fits the manifest, is finite, and whose norm lies in (0, 1e12] is comparable.
    """
    digest = update_digest(update, manifest)
    parameters = min(sum(v.numel() for v in update.values() if isinstance(v, Tensor)), MOST_VALUES)
    if not manifest.fits(update):
        return Measured(digest, parameters, 0, False, 0.0, {}, None)
    nonfinite = sum(int((~torch.isfinite(tensor)).sum()) for tensor in update.values())
    if nonfinite:
        return Measured(digest, parameters, nonfinite, True, 0.0, {}, None)
    squares = {name: _squared_norm(tensor) for name, tensor in update.items()}
    norm = min(sum(squares.values()) ** 0.5, LARGEST)
    is_comparable = 0.0 < norm < LARGEST
    return Measured(digest, parameters, 0, True, norm, _shares(squares), update if is_comparable else None)


def _squared_norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)) ** 2


def _shares(squares: Mapping[str, float]) -> dict[str, float]:
    total = sum(squares.values())
    if total <= 0.0:
        return {}
    largest = sorted(squares, key=lambda name: squares[name], reverse=True)[:MAX_LAYERS]
    return {name[-LONGEST_NAME:]: min(squares[name] / total, 1.0) for name in largest if name}
