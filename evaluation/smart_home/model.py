"""The tuned model: frozen trunk, adapted last layer, mean pooling, linear head over the intents."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from evaluation.smart_home.encoder import mask_of, read_weights
from evaluation.smart_home.layer import AdaptedLayer
from evaluation.smart_home.trunk import Trunk

RANK = 8
ADAPTER_SCALE = 2.0
LOGIT_SCALE = 8.0


class TunedModel(nn.Module):
    """An intent classifier of which only adapter and head are trained and exchanged.

    Args:
        trunk: frozen lower layers; shared between models.
        classes: number of intents.
        seed: draws the frozen part of the adapter. All devices of a federation use the same.
    """

    def __init__(self, trunk: Trunk, classes: int, seed: int) -> None:
        super().__init__()
        weights = read_weights(trunk.pretrained)[1][-1]
        width = weights["output.dense.bias"].shape[0]
        self._trunk = trunk
        self.adapter = AdaptedLayer(weights, RANK, torch.Generator().manual_seed(seed), ADAPTER_SCALE)
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def trainable_state(self) -> dict[str, Tensor]:
        """A copy of everything that a round exchanges, by name; float32."""
        return {name: parameter.detach().clone() for name, parameter in self.named_parameters()}

    @torch.no_grad()
    def load_trainable(self, state: Mapping[str, Tensor]) -> None:
        """Take over a global state.

        Raises:
            ValueError: names or shapes differ from the model's.
        """
        own = dict(self.named_parameters())
        if own.keys() != state.keys() or any(own[name].shape != state[name].shape for name in own):
            raise ValueError("the state's names or shapes are not the model's")
        for name, parameter in own.items():
            parameter.copy_(state[name])

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit-length sentence vectors, [len(texts), width]; differentiable in the adapter."""
        hidden = self._trunk.hidden(texts)
        lengths = torch.tensor([len(state) for state in hidden])
        output = self.adapter(torch.cat(hidden).float(), mask_of(lengths))
        owner = torch.repeat_interleave(torch.arange(len(hidden)), lengths)
        summed = output.new_zeros(len(hidden), output.shape[1]).index_add(0, owner, output)
        return F.normalize(summed / lengths[:, None], dim=1)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Logits, [len(texts), classes]."""
        logits: Tensor = self.head(LOGIT_SCALE * self.embed(texts))
        return logits

    @torch.no_grad()
    def predict(self, texts: Sequence[str], batch: int = 256) -> list[int]:
        """The most likely intent's index for each text."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        found = [0] * len(texts)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            labels = self([texts[index] for index in chosen]).argmax(dim=1).tolist()
            for index, label in zip(chosen, labels, strict=True):
                found[index] = label
        return found
