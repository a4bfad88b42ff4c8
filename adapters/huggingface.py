"""The seam around Hugging Face's `Trainer`: a callback for each client of a federated fine-tuning.

The callback is on the client's side, and advice there: what protects the model is the round that is handed the update.
"""

from collections.abc import Sized
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from adapters.guard import Member
from adapters.pytorch import GuardedRound


class GuardedCallback(TrainerCallback):  # type: ignore[misc] # transformers is read without its types
    """Begins a client's training with the round's weights, and hands the round what came of it.

    Only what the round's state names is exchanged: the whole model, or an adapter's and a head's parameters alone.

    Example:
        with GuardedRound(guard, weights, members) as guarded:
            for member in guarded.allowed():
                Trainer(model, args, train_dataset=own[member.id], callbacks=[GuardedCallback(guarded, member)]).train()
            weights = guarded.aggregate()

    Args:
        guarded: the round; `GuardedRound.allowed` has said that the member may have the weights.
        member: whose training it is.

    Attributes:
        examples: training examples behind the update, once training has ended.
    """

    def __init__(self, guarded: GuardedRound, member: Member) -> None:
        self.examples = 0
        self._guarded = guarded
        self._member = member

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Module | None = None,
        **_more: Any,
    ) -> None:
        """Load the round's weights into the model.

        Raises:
            ValueError: the model does not have a tensor of the round, or has it in another shape.
        """
        found = self._of_round(model)
        with torch.no_grad():
            for name, tensor in found.items():
                tensor.copy_(self._guarded.state[name].to(tensor))

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Module | None = None,
        train_dataloader: Any = None,
        **_more: Any,
    ) -> None:
        """Hand the round what was trained, less what was received; it is judged when the round ends."""
        received = self._guarded.state
        update = {
            name: tensor.detach().to(received[name]) - received[name] for name, tensor in self._of_round(model).items()
        }
        self.examples = _examples(args, state, train_dataloader)
        self._guarded.submit(self._member, update, self.examples)

    def _of_round(self, model: Module | None) -> dict[str, Tensor]:
        """Return the model's own tensors by the round's names."""
        own = {} if model is None else model.state_dict(keep_vars=True)
        found = {}
        for name, wanted in self._guarded.state.items():
            tensor = own.get(name)
            if tensor is None or tensor.shape != wanted.shape:
                has = "is missing" if tensor is None else f"has the shape {list(tensor.shape)}"
                raise ValueError(
                    f"the round's tensor '{name}' {has} in the model, and should be {list(wanted.shape)}: "
                    "seal the round with tensors of this model's state_dict()"
                )
            found[name] = tensor
        return found


def _examples(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """Return how many different examples were trained on: those of the data, or fewer when training ended before."""
    seen = int(state.global_step) * int(args.train_batch_size) * int(args.gradient_accumulation_steps)
    dataset = getattr(loader, "dataset", None)
    return min(seen, len(dataset)) if isinstance(dataset, Sized) else seen
