"""A pretrained BERT-shaped encoder, read from its weights: embeddings, then layer after layer."""

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor

from evaluation.smart_home.layer import EPSILON, EncoderLayer
from evaluation.smart_home.pretrained import TOKENIZER_FILE, Pretrained

MAX_TOKENS = 48

Weights = Mapping[str, Tensor]


class LowerLayers:
    """Embeddings and all layers but the last.

    Args:
        pretrained: what to read.
    """

    def __init__(self, pretrained: Pretrained) -> None:
        self._tokenizer = Tokenizer.from_file(str(pretrained.directory / TOKENIZER_FILE))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._embeddings, layers = read_weights(pretrained)
        self._layers = [EncoderLayer(weights) for weights in layers[:-1]]

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> list[Tensor]:
        """Hidden states of each text, [tokens, width] float32, as the last layer reads them."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        lengths = torch.tensor([len(ids) for ids in tokens])
        hidden, mask = self._embed(tokens), mask_of(lengths)
        for layer in self._layers:
            hidden = layer(hidden, mask)
        return list(torch.split(hidden, lengths.tolist()))

    def _embed(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        words = torch.tensor(list(chain.from_iterable(tokens)))
        places = torch.tensor(list(chain.from_iterable(range(len(ids)) for ids in tokens)))
        found = self._embeddings["word_embeddings.weight"][words] + self._embeddings["token_type_embeddings.weight"][0]
        found = found + self._embeddings["position_embeddings.weight"][places]
        weight, bias = self._embeddings["LayerNorm.weight"], self._embeddings["LayerNorm.bias"]
        return F.layer_norm(found, weight.shape, weight, bias, EPSILON)


def mask_of(lengths: Tensor) -> Tensor:
    """Where texts of these lengths have tokens, [texts, longest] bool."""
    return torch.arange(int(lengths.max()))[None, :] < lengths[:, None]


def read_weights(pretrained: Pretrained) -> tuple[Weights, list[Weights]]:
    """The embeddings' tensors, and each layer's, float32, by their names within their part."""
    embeddings: dict[str, Tensor] = {}
    layers: dict[int, dict[str, Tensor]] = {}
    with safe_open(str(pretrained.weights), framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            if "embeddings." in name:
                embeddings[name.split("embeddings.", 1)[1]] = file.get_tensor(name).float()
            elif ".layer." in name:
                number, part = name.split(".layer.")[1].split(".", 1)
                layers.setdefault(int(number), {})[part] = file.get_tensor(name).float()
    return embeddings, [layers[number] for number in sorted(layers)]
