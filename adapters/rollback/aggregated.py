"""A round as an aggregator hands it in to be archived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from adapters.rollback.manifest import KeptUpdate, Recipe


@dataclass(frozen=True, slots=True)
class Contributed:
    """An update that went into a model.

    Attributes:
        update: the tensors as they were aggregated.
        kept: what is signed of it; its ``content`` is the digest of ``update``.
    """

    update: Mapping[str, Tensor]
    kept: KeptUpdate


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A round as it is to be archived.

    Attributes:
        round_id: the round.
        model: its model.
        before: the weights that it began with, floating-point tensors.
        after: those that it ended with.
        updates: what was aggregated, in order; at least one.
        recipes: how that may have been done. The first that does it again, bit for bit, is kept; when none does, the
            round cannot be done again, and is kept as such.
    """

    round_id: str
    model: str
    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    updates: Sequence[Contributed]
    recipes: Sequence[Recipe] = (Recipe(),)
