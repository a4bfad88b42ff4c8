"""Clients whose training comes to something that must not go into a model, or to nothing."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from adapters.conformance.script import trainings
from adapters.conformance.scripted import Scripted, Trained

_LATE = 1.5
"""A late client takes this multiple of the time that it has."""

_OVERSIZE = 1_000.0
_MANY_EXAMPLES = 1_000
_ABSURD_EXAMPLES = 10**12


class _Spoiling(Scripted):
    """Trains as an honest client does, and sends something else."""

    def train(self, state: Mapping[str, Tensor]) -> Trained:
        """As `Scripted.train`, spoiled."""
        trained = super().train(state)
        return self._spoiled(trained, {name: value for name, value in trained.update.items() if _is_tensor(value)})

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        return replace(trained, update=self._changed(update))

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return update


class _OneTensor(_Spoiling):
    """Changes the first of its tensors."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        name, value = next(iter(update.items()))
        assert isinstance(value, Tensor)  # noqa: S101 - an honest update consists of tensors
        return {**update, name: self._one(value.clone())}

    def _one(self, tensor: Tensor) -> Tensor:
        return tensor


class NotANumber(_OneTensor, behaviour="not-a-number"):
    """Sends a NaN among its values."""

    def _one(self, tensor: Tensor) -> Tensor:
        tensor.view(-1)[0] = float("nan")
        return tensor


class Infinite(_OneTensor, behaviour="infinite"):
    """Sends an infinite value."""

    def _one(self, tensor: Tensor) -> Tensor:
        tensor.view(-1)[0] = float("inf")
        return tensor


class WrongShape(_OneTensor, behaviour="wrong-shape"):
    """Sends a tensor with one row more."""

    def _one(self, tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor[:1]])


class WrongType(_Spoiling, behaviour="wrong-type"):
    """Sends its tensors in another dtype."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return {name: value.double() if isinstance(value, Tensor) else value for name, value in update.items()}


class MissingTensor(_Spoiling, behaviour="missing-tensor"):
    """Leaves a tensor out."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return dict(list(update.items())[1:])


class ExtraTensor(_Spoiling, behaviour="extra-tensor"):
    """Sends a tensor that the model does not have."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return {**update, "smuggled.weight": torch.ones(3)}


class Oversize(_Spoiling, behaviour="oversize"):
    """Sends its update a thousandfold."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return {name: value * _OVERSIZE if isinstance(value, Tensor) else value for name, value in update.items()}


class SignFlip(_Spoiling, behaviour="sign-flip"):
    """Sends the contrary of its update."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return {name: -value if isinstance(value, Tensor) else value for name, value in update.items()}


class Sleeper(SignFlip, behaviour="sleeper"):
    """Is honest in its first round, and sends the contrary of its update ever after."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return super()._changed(update) if trainings(self.script.folder) > 1 else update


class Nothing(_Spoiling, behaviour="nothing"):
    """Sends zeros."""

    def _changed(self, update: dict[str, object]) -> dict[str, object]:
        return {name: torch.zeros_like(value) if isinstance(value, Tensor) else value for name, value in update.items()}


class NoExamples(_Spoiling, behaviour="no-examples"):
    """Claims to have trained on nothing."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        return Trained(update, 0)


class ManyExamples(_Spoiling, behaviour="many-examples"):
    """Claims a thousand times its examples, which policy still takes."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        return Trained(update, _MANY_EXAMPLES * trained.examples)


class AbsurdExamples(_Spoiling, behaviour="absurd-examples"):
    """Claims more examples than there are in the world, to outweigh all others."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        return Trained(update, _ABSURD_EXAMPLES)


class Late(_Spoiling, behaviour="late"):
    """Answers when its time is over."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        time.sleep(_LATE * self.script.training_seconds)
        return trained


class Hanging(_Spoiling, behaviour="hanging"):
    """Never answers."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        self.script.hang()
        return trained


class Failing(_Spoiling, behaviour="failing"):
    """Its training raises."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        raise RuntimeError("this client's training is broken, as its script says")


class Dying(_Spoiling, behaviour="dying"):
    """Its process ends while it trains."""

    def _spoiled(self, trained: Trained, update: dict[str, object]) -> Trained:
        os._exit(1)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)
