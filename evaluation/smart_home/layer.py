"""One layer of a BERT-shaped encoder, written out so that it needs only the weights, and the same with an adapter.

BERT encoder layer (Devlin et al., arXiv 1810.04805), LoRA on query and value (Hu et al., arXiv 2106.09685). Only
the up-projections are trained: with both factors trained, an average of products is not the product of
averages, and freezing the random down-projection removes that error (Sun et al., arXiv 2403.12313).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

HEADS = 12
EPSILON = 1e-12


class EncoderLayer(nn.Module):
    """A frozen layer.

    Args:
        weights: the layer's tensors by their names within the layer, as the transformers library calls them.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in weights.items():
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """One layer over a batch whose texts lie one behind the other, so that nothing is spent on padding.

        Args:
            hidden: [all tokens of the batch, width] float32.
            mask: [batch, longest text] bool, true where a text has a token.

        Returns:
            [all tokens of the batch, width] float32.
        """
        query, key, value = (_heads(part, mask) for part in self.project(hidden))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        mixed = mixed.transpose(1, 2).flatten(-2)[mask]
        attended = self._norm("attention_output_LayerNorm", self._dense("attention_output_dense", mixed) + hidden)
        inner = F.gelu(self._dense("intermediate_dense", attended))
        return self._norm("output_LayerNorm", self._dense("output_dense", inner) + attended)

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of each token, each [all tokens of the batch, width]."""
        query, key, value = (self._dense(f"attention_self_{part}", hidden) for part in ("query", "key", "value"))
        return query, key, value

    def _dense(self, name: str, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"))

    def _norm(self, name: str, inputs: Tensor) -> Tensor:
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        return F.layer_norm(inputs, weight.shape, weight, bias, EPSILON)


class AdaptedLayer(EncoderLayer):
    """A frozen layer whose query and value projections carry a trainable low-rank change.

    Args:
        weights: as the layer's.
        rank: of the adapter.
        generator: draws the frozen down-projections; the same seed everywhere gives the same adapter.
        scale: factor on the adapter's output.
    """

    def __init__(self, weights: Mapping[str, Tensor], rank: int, generator: torch.Generator, scale: float) -> None:
        super().__init__(weights)
        width = weights["attention.self.query.weight"].shape[0]
        self._scale = scale
        self.register_buffer("down", torch.randn(2 * rank, width, generator=generator) / width**0.5, persistent=False)
        self.query_up = nn.Parameter(torch.zeros(width, rank))
        self.value_up = nn.Parameter(torch.zeros(width, rank))

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of each token, the first and the last with the adapter's change."""
        query, key, value = super().project(hidden)
        query_down, value_down = (hidden @ self.get_buffer("down").T).chunk(2, dim=-1)
        changed = query + self._scale * (query_down @ self.query_up.T)
        return changed, key, value + self._scale * (value_down @ self.value_up.T)


def _heads(packed: Tensor, mask: Tensor) -> Tensor:
    """Lay packed tokens out as [batch, heads, longest text, width of a head], zero where there is no token."""
    padded = packed.new_zeros(*mask.shape, packed.shape[-1]).masked_scatter(mask[:, :, None], packed)
    return padded.reshape(*mask.shape, HEADS, -1).transpose(1, 2)
