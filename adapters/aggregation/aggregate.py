"""How a round's updates become one. Beside the mean each way is a backstop: it bounds what an update can do.

All of them give the same result for the same updates in the same order, bit for bit, so that a round can be done again.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from adapters.aggregation.mixing import geometric_median, neighbour_mixing, settled, tolerated
from adapters.aggregation.trimming import trimmed_mean
from adapters.screening import Manifest
from adapters.screening.energy import Energies
from adapters.screening.projection import Projection
from adapters.screening.values import Doubles, Piece, cut, flat, read_all
from controlplane.contracts.decision import Aggregation

Update = Mapping[str, Tensor]


def aggregate(method: Aggregation, updates: Sequence[Update], weights: Sequence[int]) -> dict[str, Tensor]:
    """Return the one update that a round's updates become, in float64.

    Claimed examples weigh in the mean alone. In the others each update that weighs anything has one voice: a claim
    buys no influence there.

    Args:
        method: ``mean``, by weights; ``trimmed_mean``, without the fifth of each coordinate's values at either end;
            ``geometric_median``; ``nnm``, the geometric median once each update was mixed with its nearest ones.
        updates: at least one, finite, of the same names, shapes and dtypes.
        weights: of the updates, at least one of them above 0.

    Raises:
        ValueError: there is no update that weighs anything.
    """
    heard = [(update, weight) for update, weight in zip(updates, weights, strict=True) if weight > 0]
    if not heard:
        raise ValueError("there is no update that weighs anything")
    voices = [update for update, _ in heard]
    if method == "trimmed_mean":
        return _trimmed(voices)
    if method == "mean":
        total = sum(weight for _, weight in heard)
        return _mixed(voices, [weight / total for _, weight in heard])
    gram = _gram(voices)
    if method == "geometric_median":
        return _mixed(voices, settled(geometric_median(gram)).tolist())
    mixtures = neighbour_mixing(gram, tolerated(len(voices)))
    return _mixed(voices, settled(geometric_median(mixtures @ gram @ mixtures.T) @ mixtures).tolist())


def _mixed(updates: Sequence[Update], shares: Sequence[float]) -> dict[str, Tensor]:
    mixed = {name: tensor.double() * shares[0] for name, tensor in updates[0].items()}
    for update, share in zip(updates[1:], shares[1:], strict=True):
        for name, tensor in update.items():
            mixed[name] += tensor.double() * share
    return mixed


def _trimmed(updates: Sequence[Update]) -> dict[str, Tensor]:
    trimmed = tolerated(len(updates))
    return {
        name: torch.from_numpy(trimmed_mean([flat(update[name]) for update in updates], trimmed)).reshape(tensor.shape)
        for name, tensor in updates[0].items()
    }


def _gram(updates: Sequence[Update]) -> Doubles:
    """Inner products, told from a projection whose seed comes from all updates.

    So the same round has the same projection, and whoever does not know the others' updates cannot make one that is
    another thing under it than it is.
    """
    manifest = Manifest.of(updates[0])
    pieces = cut(manifest)
    projection = Projection(manifest, pieces, _seed(updates, manifest, pieces))
    sketches = [read_all(update, manifest, pieces, [projection])[0].astype(np.float64) for update in updates]
    stacked = np.stack(sketches)
    return np.asarray(stacked @ stacked.T)


def _seed(updates: Sequence[Update], manifest: Manifest, pieces: Sequence[Piece]) -> int:
    """Of the energies of all rows: no value can change without them."""
    energies = Energies(pieces, len(manifest.tensors))
    digest = hashlib.sha256()
    for update in updates:
        digest.update(read_all(update, manifest, pieces, [energies])[0].tobytes())
    return int.from_bytes(digest.digest()[:8], "big")
