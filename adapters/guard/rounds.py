"""A round as it is fixed before anybody trains, and the tensors that it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from torch import Tensor

from adapters.credentials import RoundTerms
from adapters.screening import Manifest, Streamed, update_digest
from adapters.screening.streaming import Changed
from controlplane.contracts.confidentiality import Confidentiality
from controlplane.contracts.decision import Aggregation
from controlplane.contracts.privacy import PrivacyTerms


@dataclass(frozen=True)
class SealedRound:
    """What is fixed once a round is open.

    Attributes:
        terms: what devices must know of it.
        manifest: names, shapes and dtypes of an update.
        members: the subjects that may take part.
        aggregation: how its updates are brought together, as policy picked.
        confidentiality: what this side may see of its updates, likewise.
        groups: who is summed with whom, where it may see sums of groups alone.
        noise: that this side has to add to the sum of its updates; none where it has to add none.
    """

    terms: RoundTerms
    manifest: Manifest
    members: tuple[str, ...]
    aggregation: Aggregation = "mean"
    confidentiality: Confidentiality = "plain"
    groups: tuple[tuple[str, ...], ...] = ()
    noise: PrivacyTerms | None = None

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
        tensors: Mapping[str, Tensor]
        if isinstance(state, Streamed):
            tensors = state.floating()
        else:
            tensors = {name: tensor.detach() for name, tensor in state.items() if tensor.is_floating_point()}
        manifest = Manifest.of(tensors)
        return cls(tensors, manifest, update_digest(tensors, manifest))


def difference(
    trained: Mapping[str, object], received: Mapping[str, Tensor], *, is_ours: bool = False
) -> dict[str, object]:
    """Return the update: trained minus received, by name. Both sides compute it, so both can name its digest.

    Whatever in ``trained`` cannot be subtracted is handed on as it is: it will not fit the round's manifest.

    Args:
        trained: untrusted.
        received: the weights that training began with.
        is_ours: nobody else needs ``trained``; its tensors become the update, so that no third copy is made.
    """
    update: dict[str, object] = {}
    for name, value in trained.items():
        before = received.get(name)
        if not isinstance(value, Tensor):
            update[name] = value
        elif before is not None and value.shape == before.shape and value.dtype == before.dtype:
            update[name] = _less(value.detach().cpu(), before.cpu(), is_ours=is_ours)
        elif before is not None or value.is_floating_point():
            update[name] = value
    return update


def _less(value: Tensor, before: Tensor, *, is_ours: bool) -> Tensor:
    return value.sub_(before) if is_ours and value.is_floating_point() else value - before


def streamed_difference(trained: Streamed, received: Mapping[str, Tensor]) -> Streamed:
    """Return the update as `difference` does, where each tensor of it is computed when it is asked for, and not kept.

    Args:
        trained: untrusted, such as a `TensorFile`.
        received: the weights that training began with; they must stay as they are.
    """
    known = Manifest.of(received).tensors

    def change(name: str, value: Tensor) -> Tensor:
        return value.sub_(received[name].cpu()) if trained.specs[name] == known.get(name) else value

    kept = [name for name, spec in trained.specs.items() if name in known or spec.dtype.is_floating_point]
    return Changed(trained, change, kept)
