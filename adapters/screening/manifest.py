"""What an update of a round must look like: the names, shapes and dtypes of its tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeGuard

from torch import Tensor

from adapters.screening.spec import SUPPORTED, TensorSpec
from adapters.screening.streaming import Streamed

__all__ = ["SUPPORTED", "Manifest", "TensorSpec"]


@dataclass(frozen=True)
class Manifest:
    """The expected tensors by name, in sorted order."""

    tensors: Mapping[str, TensorSpec]

    def __post_init__(self) -> None:
        """Refuse what cannot be screened.

        Raises:
            ValueError: there is no tensor, or one is not of `SUPPORTED`.
        """
        unsupported = [name for name, spec in self.tensors.items() if spec.dtype not in SUPPORTED]
        if not self.tensors or unsupported:
            raise ValueError(f"a manifest needs floating-point tensors; unsupported: {unsupported}")
        object.__setattr__(self, "tensors", dict(sorted(self.tensors.items())))

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Self:
        """The manifest of updates to ``state``.

        Raises:
            ValueError: as the constructor.
        """
        if isinstance(state, Streamed):
            return cls(state.specs)
        return cls({name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()})

    @property
    def parameters(self) -> int:
        """How many values an update that fits has."""
        return sum(math.prod(spec.shape) for spec in self.tensors.values())

    @property
    def size_bytes(self) -> int:
        """What the values of an update that fits take."""
        return sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in self.tensors.values())

    def fits(self, update: Mapping[str, object]) -> TypeGuard[Mapping[str, Tensor]]:
        """Whether ``update`` has exactly these names, and every tensor fits its specification."""
        if isinstance(update, Streamed):
            # None of them has to be read for this.
            return update.specs == self.tensors
        return update.keys() == self.tensors.keys() and all(
            spec.fits(update[name]) for name, spec in self.tensors.items()
        )
