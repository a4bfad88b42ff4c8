"""The frozen lower layers of the encoder: from texts to the hidden states that the last layer reads.

These layers never change, so a text passes through them once; the outcome is kept in half precision, in
memory and, where the caller names a folder, in a safetensors file that later processes read instead.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from evaluation.smart_home.encoder import LowerLayers
from evaluation.smart_home.pretrained import Pretrained

BATCH = 128


class Trunk:
    """All layers of a pretrained BERT-shaped encoder but the last, frozen and lazily loaded.

    Args:
        pretrained: the encoder.
        cache: folder for the safetensors file; none keeps all in memory.
    """

    def __init__(self, pretrained: Pretrained, cache: Path | None = None) -> None:
        self.pretrained = pretrained
        self._cache = cache
        self._known: dict[str, Tensor] = {}

    def hidden(self, texts: Sequence[str]) -> list[Tensor]:
        """Hidden states of each text: float16, shape [tokens, width], in the order of ``texts``."""
        unknown = [text for text in dict.fromkeys(texts) if text not in self._known]
        if unknown:
            self._known.update(zip(unknown, self._compute(unknown), strict=True))
        return [self._known[text] for text in texts]

    def preload(self, texts: Sequence[str]) -> None:
        """Make ``texts`` known, from the cache folder when it holds exactly these texts, else by computing them."""
        distinct = list(dict.fromkeys(texts))
        if self._known.keys() >= set(distinct):
            return
        file = self._cache_file(distinct)
        if file is not None and file.is_file():
            self._known.update(_unpack(distinct, load_file(file)))
            return
        states = self.hidden(distinct)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{id(self):x}.partial")
            save_file(_pack(states), partial)
            partial.replace(file)

    def _cache_file(self, texts: Sequence[str]) -> Path | None:
        if self._cache is None:
            return None
        key = hashlib.sha256("\n".join([self.pretrained.sha256, *texts]).encode()).hexdigest()
        return self._cache / f"hidden-{key[:32]}.safetensors"

    def _compute(self, texts: Sequence[str]) -> list[Tensor]:
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        states: dict[int, Tensor] = {}
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            found = self._lower([texts[index] for index in chosen])
            states.update(zip(chosen, (state.to(torch.float16) for state in found), strict=True))
        return [states[index] for index in range(len(texts))]

    @cached_property
    def _lower(self) -> LowerLayers:
        return LowerLayers(self.pretrained)


def _pack(states: Sequence[Tensor]) -> dict[str, Tensor]:
    return {"states": torch.cat(list(states)), "lengths": torch.tensor([len(state) for state in states])}


def _unpack(texts: Sequence[str], packed: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = torch.split(packed["states"], packed["lengths"].tolist())
    return dict(zip(texts, parts, strict=True))
