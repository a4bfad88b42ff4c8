"""One pass over a cohort's values: direction, signs and near-duplicates, in memory that the model's size does not set.

Blocks of columns are taken from every update in turn, so that no more than updates x 65,536 values are stacked
at a time, and the cost is linear in values x updates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 65_536
SKETCH = 512
NEAR_IDENTICAL = 0.999
"""Cosine from which two updates count as one. Honest devices with alike data reach 0.997 on easy tasks."""


@dataclass(frozen=True)
class Comparison:
    """How one update stands to the reference and to the rest of its cohort."""

    cosine: float
    sign_agreement: float
    duplicates: int


def compare(
    updates: Sequence[Mapping[str, Tensor]], reference: Mapping[str, Tensor] | None, seed: int
) -> list[Comparison]:
    """Compare finite updates of equal shapes with ``reference``, or else with the centre of the others.

    The centre is the coordinate-wise lower median of all other updates (leave-one-out: no update is a part of
    what it is compared with). Without a reference and without others, or where a direction has no length, the
    cosine is -1 and the sign agreement 0: not measured, hence not acceptable.

    Args:
        updates: name -> tensor, finite, norms in (0, 1e12).
        reference: the update that trusted data yields, same names and shapes; none for the centre.
        seed: of the random projection. Whoever knows it could hide a duplicate, so it should vary.
    """
    if not updates:
        return []
    count = len(updates)
    dots, own, lengths = (torch.zeros(count, dtype=torch.float64) for _ in range(3))
    agreeing, signed = (torch.zeros(count, dtype=torch.float64) for _ in range(2))
    sketches = torch.zeros(count, SKETCH)
    generator = torch.Generator().manual_seed(seed)
    for block, trusted in _blocks(updates, reference):
        centre = trusted.expand_as(block) if trusted is not None else _median_of_others(block)
        dots += (block * centre).sum(dim=1, dtype=torch.float64)
        own += block.square().sum(dim=1, dtype=torch.float64)
        lengths += centre.square().sum(dim=1, dtype=torch.float64)
        agreeing += ((block.sign() == centre.sign()) & (centre != 0)).sum(dim=1)
        signed += (centre != 0).sum(dim=1)
        sketches += _sketch(block, generator)
    cosines = torch.where(lengths > 0, dots / (own * lengths).sqrt().clamp_min(1e-300), -1.0).clamp(-1.0, 1.0)
    agreements = torch.where(signed > 0, agreeing / signed.clamp_min(1.0), 0.0)
    rows = zip(cosines.tolist(), agreements.tolist(), _near_identical(sketches), strict=True)
    return [Comparison(*row) for row in rows]


def _blocks(
    updates: Sequence[Mapping[str, Tensor]], reference: Mapping[str, Tensor] | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    for name in sorted(updates[0]):
        columns = [update[name].detach().reshape(-1) for update in updates]
        trusted = None if reference is None else reference[name].detach().reshape(-1)
        for start in range(0, len(columns[0]), BLOCK):
            here = slice(start, start + BLOCK)
            block = torch.stack([values[here].cpu().float() for values in columns])
            yield block, None if trusted is None else trusted[here].cpu().float()


def _median_of_others(block: Tensor) -> Tensor:
    """For each row, the lower median of the other rows: one of two order statistics, so one sort serves all rows."""
    count = len(block)
    if count == 1:
        return torch.zeros_like(block)
    ordered = block.T.contiguous().sort(dim=1).values
    middle = (count - 2) // 2
    lower, upper = ordered[:, middle], ordered[:, middle + 1]
    return torch.where(block <= lower, upper, lower)


def _sketch(block: Tensor, generator: torch.Generator) -> Tensor:
    """A count sketch (Charikar et al., 2002): keeps distances to a few per cent at linear cost."""
    width = block.shape[1]
    buckets = torch.randint(SKETCH, (width,), generator=generator)
    signs = torch.randint(2, (width,), generator=generator).float() * 2.0 - 1.0
    return torch.zeros(len(block), SKETCH).index_add_(1, buckets, block * signs)


def _near_identical(sketches: Tensor) -> list[int]:
    directions = torch.nn.functional.normalize(sketches, dim=1)
    alike = directions @ directions.T >= NEAR_IDENTICAL
    counts: list[int] = (alike.sum(dim=1) - alike.diagonal().int()).tolist()
    return counts
