"""The encoder's last layer with a low-rank adapter in its attention, written out so that it needs only the weights.

BERT encoder layer (Devlin et al., arXiv 1810.04805), LoRA on query and value (Hu et al., arXiv 2106.09685). Only
the up-projections are trained: with both factors trained, an average of products is not the product of
averages, and freezing the random down-projection removes that error (Sun et al., arXiv 2403.12313).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import safe_open
from torch import Tensor, nn

from evaluation.smart_home.pretrained import Pretrained

HEADS = 12
EPSILON = 1e-12


def last_layer_weights(pretrained: Pretrained) -> dict[str, Tensor]:
    """Only the last encoder layer's tensors, float32, by their names within the layer."""
    with safe_open(str(pretrained.weights), framework="pt") as file:
        names = [name for name in file.keys() if ".layer." in name]  # noqa: SIM118 - not a mapping
        last = max(int(name.split(".layer.")[1].split(".")[0]) for name in names)
        marker = f".layer.{last}."
        return {name.split(marker)[1]: file.get_tensor(name).float() for name in names if marker in name}


class AdaptedLayer(nn.Module):
    """A frozen BERT layer whose query and value projections carry a trainable low-rank change.

    Args:
        weights: the layer's tensors as ``last_layer_weights`` gives them.
        rank: of the adapter.
        generator: draws the frozen down-projections; the same seed everywhere gives the same adapter.
        scale: factor on the adapter's output.
    """

    def __init__(self, weights: Mapping[str, Tensor], rank: int, generator: torch.Generator, scale: float) -> None:
        super().__init__()
        width = weights["attention.self.query.weight"].shape[0]
        self._scale = scale
        for name, tensor in weights.items():
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)
        self.register_buffer("down", torch.randn(2 * rank, width, generator=generator) / width**0.5, persistent=False)
        self.query_up = nn.Parameter(torch.zeros(width, rank))
        self.value_up = nn.Parameter(torch.zeros(width, rank))

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """One layer over a batch whose texts lie one behind the other, so that nothing is spent on padding.

        Args:
            hidden: [all tokens of the batch, width] float32.
            mask: [batch, longest text] bool, true where a text has a token.

        Returns:
            [all tokens of the batch, width] float32.
        """
        query_down, value_down = (hidden @ self.get_buffer("down").T).chunk(2, dim=-1)
        query = self._dense("attention_self_query", hidden) + self._scale * (query_down @ self.query_up.T)
        value = self._dense("attention_self_value", hidden) + self._scale * (value_down @ self.value_up.T)
        key = self._dense("attention_self_key", hidden)
        heads = [_padded(part, mask).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (query, key, value)]
        mixed = F.scaled_dot_product_attention(*heads, attn_mask=mask[:, None, None, :])
        mixed = mixed.transpose(1, 2).flatten(-2)[mask]
        attended = self._norm("attention_output_LayerNorm", self._dense("attention_output_dense", mixed) + hidden)
        inner = F.gelu(self._dense("intermediate_dense", attended))
        return self._norm("output_LayerNorm", self._dense("output_dense", inner) + attended)

    def _dense(self, name: str, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"))

    def _norm(self, name: str, inputs: Tensor) -> Tensor:
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        return F.layer_norm(inputs, weight.shape, weight, bias, EPSILON)


def _padded(packed: Tensor, mask: Tensor) -> Tensor:
    return packed.new_zeros(*mask.shape, packed.shape[-1]).masked_scatter(mask[:, :, None], packed)
