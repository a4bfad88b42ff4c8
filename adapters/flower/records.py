"""Flower's records as tensors and numbers; what a node sent is read so that nothing in it can raise."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from torch import Tensor

from adapters.guard.rulings import bounded_weights

RECORD = "ztfm"
"""Name of the record that carries questions, terms and credentials beside the app's own records."""

_HEADER_SLACK = 4096
"""Bytes by which an array's serialised form may be larger than the one that was sent."""


def only_arrays(content: RecordDict) -> ArrayRecord | None:
    """Return the one ArrayRecord of a message, or none when there is none or more than one."""
    found = list(content.array_records.values())
    return found[0] if len(found) == 1 else None


def carried(content: RecordDict) -> ConfigRecord:
    """Return our record of a message; empty when it carries none."""
    found = content.get(RECORD)
    return found if isinstance(found, ConfigRecord) else ConfigRecord()


def without_ours(content: RecordDict) -> RecordDict:
    """Return a message's content as the app knows it."""
    return RecordDict({name: record for name, record in content.items() if name != RECORD})


def with_ours(content: RecordDict, ours: Mapping[str, str]) -> RecordDict:
    """Return a message's content with our record beside the app's."""
    return RecordDict({**content, RECORD: ConfigRecord(dict(ours))})


def read_trusted(record: ArrayRecord) -> dict[str, Tensor]:
    """Return our own side's arrays as tensors."""
    return {name: torch.from_numpy(array.numpy()) for name, array in record.items()}


def read_untrusted(record: ArrayRecord | None, sent: ArrayRecord) -> dict[str, object]:
    """Return a node's arrays as tensors; what cannot be read becomes none, which fits no manifest."""
    return {name: _tensor(array, sent.get(name)) for name, array in (record or {}).items()}


def _tensor(array: Array, sent: Array | None) -> Tensor | None:
    if sent is None or len(array.data) > len(sent.data) + _HEADER_SLACK:
        return None
    try:
        found = array.numpy()
        return torch.from_numpy(found) if isinstance(found, np.ndarray) else None
    except Exception:  # noqa: BLE001 - whatever bytes a node sends, the outcome is a refused update
        return None


def write_arrays(sent: ArrayRecord, tensors: Mapping[str, Tensor]) -> ArrayRecord:
    """Return arrays in the order of ``sent``; what ``tensors`` lacks is as it was sent."""
    return ArrayRecord(
        {name: Array(tensors[name].numpy()) if name in tensors else array for name, array in sent.items()}
    )


def in_kind(aggregated: ArrayRecord, sent: ArrayRecord) -> ArrayRecord:
    """Return what a strategy made with the types that were sent, so that the next round's updates still fit.

    Averages of counters are no counters, and some strategies widen types.
    """
    kept = {}
    for name, array in aggregated.items():
        before = sent.get(name)
        if before is None or array.dtype == before.dtype:
            kept[name] = array
        elif np.issubdtype(np.dtype(before.dtype), np.floating):
            kept[name] = Array(array.numpy().astype(before.dtype))
        else:
            kept[name] = before
    return ArrayRecord(kept)


def claimed_examples(content: RecordDict, key: str) -> int:
    """Return the number of examples that a reply claims; 0 when it claims none that is one."""
    for record in content.metric_records.values():
        claim = record.get(key)
        if isinstance(claim, (int, float)) and math.isfinite(claim) and claim >= 0:
            return int(claim)
    return 0


def common_metrics(contents: Sequence[RecordDict], weights: Sequence[int], key: str) -> list[MetricRecord]:
    """Return each reply's metrics, limited to finite ones that all replies have in the same form, with its weight.

    A strategy averages what it is given and raises where replies differ: one node must not be able to bring that about.
    """
    metrics = [_metrics(content) for content in contents]
    names = [name for name in (metrics[0] if metrics else {}) if name != key and _is_common(name, metrics)]
    return [
        MetricRecord({**{name: one[name] for name in names}, key: weight})
        for one, weight in zip(metrics, weights, strict=True)
    ]


def weights_of(contents: Iterable[RecordDict], key: str, ratio: float) -> list[int]:
    """Return what replies weigh in an average: what they claim, bounded, and at least 1."""
    return bounded_weights([max(1, claimed_examples(content, key)) for content in contents], ratio)


def _metrics(content: RecordDict) -> Mapping[str, Any]:
    return next(iter(content.metric_records.values()), {})


def _is_common(name: str, metrics: Sequence[Mapping[str, Any]]) -> bool:
    forms = {_form(one.get(name)) for one in metrics}
    return len(forms) == 1 and None not in forms


def _form(value: object) -> int | None:
    """Return -1 for a finite number, a list's length for a list of such, and none for anything else."""
    if isinstance(value, (int, float)):
        return -1 if math.isfinite(value) else None
    if isinstance(value, list) and all(isinstance(item, (int, float)) and math.isfinite(item) for item in value):
        return len(value)
    return None
