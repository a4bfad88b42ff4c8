"""A round's updates as rows of one matrix, as defences that are geometry want them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from evaluation.comparison.interfaces import Received, State, Update

LARGEST = 1e12
"""The largest norm that a row may have; screening draws the same line."""


@dataclass(frozen=True)
class Rows:
    """What of a round can be computed with, by ascending device, so that the order of arrival does not matter.

    Attributes:
        devices: whose rows they are.
        values: float64, [devices, values], all finite; tensors in the order of their names.
        examples: that each claims, [devices], float64, never negative.
        unfit: devices whose update has other names or shapes, values that are no numbers, or a norm beyond `LARGEST`.
        like: the state, for the way back to an update.
    """

    devices: tuple[int, ...]
    values: Tensor
    examples: Tensor
    unfit: frozenset[int]
    like: State

    @classmethod
    def of(cls, received: Received) -> Self:
        """Lay out what was received; ``devices`` is empty where nothing of it fits."""
        fitting = {
            device: row
            for device, update in sorted(received.updates.items())
            if (row := row_of(update, received.state)) is not None
        }
        width = sum(value.numel() for value in received.state.values())
        claimed = [float(max(0, received.examples.get(device, 0))) for device in fitting]
        return cls(
            tuple(fitting),
            torch.stack(list(fitting.values())) if fitting else torch.zeros(0, width, dtype=torch.float64),
            torch.tensor(claimed, dtype=torch.float64),
            frozenset(received.updates) - frozenset(fitting),
            received.state,
        )

    @property
    def spans(self) -> dict[str, slice]:
        """Where each tensor's values lie in a row, by name."""
        found, start = {}, 0
        for name in sorted(self.like):
            found[name] = slice(start, start + self.like[name].numel())
            start += self.like[name].numel()
        return found

    @property
    def norms(self) -> Tensor:
        """Of the rows, [devices]."""
        norms: Tensor = self.values.norm(dim=1)
        return norms

    @property
    def gram(self) -> Tensor:
        """Inner products of the rows, [devices, devices]."""
        products: Tensor = self.values @ self.values.T
        return products

    def update(self, vector: Tensor) -> dict[str, Tensor]:
        """A vector [values] as an update, float32."""
        return {
            name: vector[span].reshape(self.like[name].shape).to(torch.float32) for name, span in self.spans.items()
        }


def row_of(update: Update, like: State) -> Tensor | None:
    """An update as float64 values in the order of the tensors' names; none where it is unfit."""
    if update.keys() != like.keys() or any(update[name].shape != value.shape for name, value in like.items()):
        return None
    row = torch.cat([update[name].detach().reshape(-1).to(torch.float64) for name in sorted(like)])
    return row if float(row.norm()) < LARGEST else None
