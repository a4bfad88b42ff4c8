"""What one tensor of an update looks like."""

from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

SUPPORTED = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of one tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def fits(self, value: object) -> TypeGuard[Tensor]:
        """Whether ``value`` is a plain dense tensor, with its data in memory, of this shape and dtype."""
        return (
            isinstance(value, Tensor)
            and value.layout is torch.strided
            and not value.is_meta
            and value.dtype is self.dtype
            and value.shape == self.shape
        )
