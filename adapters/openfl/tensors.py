"""OpenFL's tensors as updates, metrics and weights; whatever a collaborator sent, reading it raises nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from openfl.pipelines import TensorCodec
from openfl.protocols import utils
from openfl.protocols.base_pb2 import NamedTensor
from openfl.utilities import TensorKey
from torch import Tensor

from adapters.guard.rounds import difference

MODEL, AGGREGATED, TRAINED, METRIC, DELTA = "model", "aggregated", "trained", "metric", "delta"
"""OpenFL's tags."""

ENCODED = frozenset({"compressed", "lossy_compressed"})
"""Tags that say how a tensor travels, and nothing of what it is."""

_METRIC_TAGS = frozenset({METRIC, "validate_agg", "validate_local"})
"""All that a metric may be: OpenFL takes another tag for a part of the model."""

_LONGEST_NAME = 128

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class MetricKey:
    """What a metric is called: its name, whether it is shown, and its tags but for how it travelled."""

    name: str
    is_shown: bool
    tags: tuple[str, ...]


def tensors_of(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Return our own side's arrays as tensors of their own memory."""
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def update_of(sent: Iterable[NamedTensor], codec: TensorCodec, received: Mapping[str, Tensor]) -> dict[str, object]:
    """Return the update that trained tensors are about. Both sides compute it, so both can name its digest.

    Args:
        sent: untrusted: weights, or differences where their tags say so.
        codec: OpenFL's, of the plan's pipeline.
        received: the weights that training began with.
    """
    weights: dict[str, object] = {}
    steps: dict[str, object] = {}
    for one in sent:
        if TRAINED in one.tags:
            (steps if DELTA in one.tags else weights)[one.name] = _decoded(one, codec)
    return {**difference(weights, received), **steps}


def metrics_of(sent: Iterable[NamedTensor], codec: TensorCodec) -> dict[MetricKey, float]:
    """Return the finite numbers among what a collaborator sent as metrics."""
    found = {}
    for one in sent:
        tags = {*one.tags} - ENCODED
        if METRIC not in tags or not tags <= _METRIC_TAGS or len(one.name) > _LONGEST_NAME:
            continue
        value = _decoded(one, codec)
        if isinstance(value, Tensor) and value.numel() == 1 and math.isfinite(number := float(value)):
            found[MetricKey(one.name, one.report, tuple(sorted(tags)))] = number
    return found


def common(found: Sequence[Mapping[MetricKey, float]]) -> set[MetricKey]:
    """Return what all have: OpenFL averages by the first collaborator's metrics, and ends when another lacks one."""
    return set(found[0]).intersection(*found[1:]) if found else set()


def encoded(name: str, value: object, number: int, codec: TensorCodec, *, tags: Sequence[str], shown: bool) -> Any:
    """Return a value as a collaborator would send it in a round, without loss."""
    array = np.asarray(value, dtype=np.float32)
    key, raw, metadata = codec.compress(TensorKey(name, "", number, shown, tuple(tags)), array, require_lossless=True)
    return utils.construct_named_tensor(key, raw, metadata, lossless=True)


def _decoded(sent: NamedTensor, codec: TensorCodec) -> Tensor | None:
    """Return an untrusted tensor, or none for one that cannot be read: it fits no manifest."""
    metadata = [
        {"int_to_float": one.int_to_float, "int_list": one.int_list, "bool_list": one.bool_list}
        for one in sent.transformer_metadata
    ]
    key = TensorKey(sent.name, "", sent.round_number, sent.report, tuple(sent.tags))
    try:
        _, array = codec.decompress(key, sent.data_bytes, metadata, require_lossless=True)
        return torch.from_numpy(np.array(array))
    except Exception:  # noqa: BLE001 - whatever a collaborator sends, the outcome is a tensor that does not fit
        return None
