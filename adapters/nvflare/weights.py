"""NVFLARE's parameters as tensors and numbers; what a site sent is read so that nothing in it can raise."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from nvflare.apis.dxo import DataKind
from torch import Tensor

from adapters.guard.rounds import difference

Parameters = Mapping[str, Any]
"""Name -> NumPy array or tensor, as `FLModel.params` holds them."""


def read_trusted(params: Parameters) -> dict[str, Tensor]:
    """Return our own side's parameters as tensors, which share their memory; other values are passed over."""
    found = {name: _tensor(value) for name, value in params.items()}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def read_untrusted(params: object) -> dict[str, object]:
    """Return a site's parameters as tensors; what cannot be read becomes none, which fits no manifest."""
    if not isinstance(params, Mapping):
        return {}
    return {str(name): _tensor(value) for name, value in params.items()}


def write(sent: Parameters, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return parameters of the kind and in the order of ``sent``; what ``tensors`` lacks is as it was sent."""
    return {name: _of_kind(value, tensors[name]) if name in tensors else value for name, value in sent.items()}


def update_of(kind: str, params: Mapping[str, object], received: Mapping[str, Tensor]) -> dict[str, object]:
    """Return the update that a result is about. Both sides compute it, so both can name its digest.

    Args:
        kind: ``WEIGHT_DIFF`` for a result that is a difference already; any other is trained weights.
        params: untrusted, as `read_untrusted` returns them.
        received: the weights that training began with, floating-point tensors alone.
    """
    if kind != DataKind.WEIGHT_DIFF:
        return difference(params, received)
    # Counters do not take part; a difference may hold them.
    return {
        name: value
        for name, value in params.items()
        if name in received or not isinstance(value, Tensor) or value.is_floating_point()
    }


def in_kind(made: Parameters, sent: Parameters) -> dict[str, Any]:
    """Return what an aggregation made with the types that were sent, so that the next round's updates still fit.

    Averages of counters are no counters, and some aggregators widen types or leave names out.
    """
    kept: dict[str, Any] = {}
    for name, before in sent.items():
        old, new = _tensor(before), _tensor(made.get(name))
        if old is None or new is None or not old.is_floating_point() or new.shape != old.shape:
            kept[name] = before
        else:
            kept[name] = _of_kind(before, new.to(old.dtype))
    return kept


def claimed(meta: object, key: str) -> int:
    """Return the number of steps or examples that a result claims; 0 when it claims none that is one."""
    claim = meta.get(key) if isinstance(meta, Mapping) else None
    if isinstance(claim, (int, float)) and not isinstance(claim, bool) and _is_finite(claim) and claim >= 0:
        return int(claim)
    return 0


def common_metrics(found: Sequence[object]) -> list[dict[str, float]]:
    """Return each result's metrics, limited to finite numbers that all of them have.

    Aggregation compares and averages them by name: one site must not be able to bring it to an end.
    """
    read = [_numbers(metrics) for metrics in found]
    names = set(read[0]).intersection(*read[1:]) if read else set()
    return [{name: one[name] for name in sorted(names)} for one in read]


def _numbers(metrics: object) -> dict[str, float]:
    items: Iterable[tuple[object, object]] = metrics.items() if isinstance(metrics, Mapping) else ()
    return {name: float(value) for name, value in items if isinstance(name, str) and _is_finite(value)}


def _is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a number that a float can hold: a site may send a whole number of any length."""
    try:
        return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)
    except OverflowError:
        return False


def _tensor(value: object) -> Tensor | None:
    if isinstance(value, Tensor):
        is_plain = value.layout is torch.strided and value.device.type != "meta" and not value.is_quantized
        return value.detach() if is_plain else None
    if not isinstance(value, (np.ndarray, np.number)):
        return None
    try:
        found = np.asarray(value)
        return torch.from_numpy(found if found.flags.writeable and found.flags.c_contiguous else found.copy())
    except (TypeError, ValueError):
        return None


def _of_kind(sent: object, tensor: Tensor) -> Any:
    return tensor if isinstance(sent, Tensor) else tensor.cpu().numpy()
