"""A round as it is fixed before anybody trains, and the tensors that it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from torch import Tensor

from adapters.credentials import RoundTerms
from adapters.screening import Manifest, update_digest
from controlplane.contracts.decision import Aggregation


@dataclass(frozen=True)
class SealedRound:
    """What is fixed once a round is open.

    Attributes:
        terms: what devices must know of it.
        manifest: names, shapes and dtypes of an update.
        members: the subjects that may take part.
        aggregation: how its updates are brought together, as policy picked.
    """

    terms: RoundTerms
    manifest: Manifest
    members: tuple[str, ...]
    aggregation: Aggregation = "mean"

    def has_member(self, subject: str) -> bool:
        """Whether a subject may take part."""
        return subject in self._members

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self.members)


@dataclass(frozen=True)
class Weights:
    """A model's state as a round sees it: the tensors that are trained, their shapes, and their digest.

    Only floating-point tensors take part. Others (counters, indices) stay as the server has them: a device's word
    is not taken for what screening cannot measure.
    """

    tensors: Mapping[str, Tensor]
    manifest: Manifest
    digest: str

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Self:
        """Return the weights of a model's state.

        Raises:
            ValueError: no floating-point tensor is in it, or one of an unsupported type.
        """
        tensors = {name: tensor.detach() for name, tensor in state.items() if tensor.is_floating_point()}
        manifest = Manifest.of(tensors)
        return cls(tensors, manifest, update_digest(tensors, manifest))


def difference(trained: Mapping[str, object], received: Mapping[str, Tensor]) -> dict[str, object]:
    """Return the update: trained minus received, by name. Both sides compute it, so both can name its digest.

    Whatever in ``trained`` cannot be subtracted is handed on as it is: it will not fit the round's manifest.

    Args:
        trained: untrusted.
        received: the weights that training began with.
    """
    update: dict[str, object] = {}
    for name, value in trained.items():
        before = received.get(name)
        if not isinstance(value, Tensor):
            update[name] = value
        elif before is not None and value.shape == before.shape and value.dtype == before.dtype:
            update[name] = value.detach().cpu() - before.cpu()
        elif before is not None or value.is_floating_point():
            update[name] = value
    return update
