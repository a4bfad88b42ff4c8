"""Robust aggregators of public libraries, over updates that lie in memory, each as a library would be called."""

import importlib
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")

Job = Callable[[], object]

NAMES_CLIENTS = frozenset({"flower_multi_krum", "flower_bulyan", "byzfl_krum", "byzfl_multi_krum"})
"""Those that choose among clients, so that who sent what matters to them; others only make one update of all."""


class _Decoded:
    """Stands for an `ArrayRecord` whose arrays were decoded before the clock runs."""

    def __init__(self, arrays: Sequence["np.ndarray[Any, Any]"]) -> None:
        self._arrays = list(arrays)

    def to_numpy_ndarrays(self, keep_input: bool = True) -> list["np.ndarray[Any, Any]"]:
        """As Flower's."""
        return list(self._arrays)


class _Content(dict[str, Any]):
    """Stands for a reply's `RecordDict` with one record."""

    @property
    def array_records(self) -> Mapping[str, Any]:
        """As Flower's."""
        return self


def flower(updates: Sequence[Mapping[str, Tensor]], hostile: int) -> dict[str, Job]:
    """Flower's Multi-Krum and Bulyan, with so many hostile clients allowed for."""
    from flwr.serverapp.strategy.bulyan import aggregate_n_closest_weights
    from flwr.serverapp.strategy.multikrum import select_multikrum

    contents = [_Content(arrays=_Decoded([tensor.numpy() for tensor in update.values()])) for update in updates]

    def bulyan() -> object:
        theta = len(contents) - 2 * hostile
        chosen = [content["arrays"].to_numpy_ndarrays() for content in select_multikrum(contents, hostile, theta)]
        middle = [np.median(layer, axis=0) for layer in zip(*chosen, strict=True)]
        return aggregate_n_closest_weights(middle, chosen, theta - 2 * hostile)

    return {
        "flower_multi_krum": lambda: select_multikrum(contents, hostile, len(contents) - hostile),
        "flower_bulyan": bulyan,
    }


def byzfl(folder: Path | None, updates: Sequence[Mapping[str, Tensor]], hostile: int) -> dict[str, Job]:
    """Byzfl's aggregators, where it is installed in ``folder``; none of them otherwise.

    Its aggregators are imported without the rest of it, which wants torchvision. Its nearest-neighbour mixing is left
    out: it holds updates squared times values in memory.
    """
    if folder is None or not (folder / "byzfl").is_dir():
        return {}
    package = types.ModuleType("byzfl")
    package.__path__ = [str(folder / "byzfl")]
    sys.modules["byzfl"] = package
    library = importlib.import_module("byzfl.aggregators")
    flat = [torch.cat([tensor.reshape(-1) for tensor in update.values()]) for update in updates]
    kinds = {
        "byzfl_krum": library.Krum(hostile),
        "byzfl_multi_krum": library.MultiKrum(hostile),
        "byzfl_median": library.Median(),
    }
    return {name: _calling(aggregator, flat) for name, aggregator in kinds.items()}


def versions(folder: Path | None) -> dict[str, str]:
    """Return the libraries' versions; ``absent`` for one that is not there."""
    found = {"flwr": metadata.version("flwr"), "byzfl": "absent"}
    for distribution in metadata.distributions(path=[str(folder)] if folder else []):
        if distribution.metadata["Name"] == "byzfl":
            found["byzfl"] = distribution.version
    return found


def _calling(aggregator: Callable[[list[Tensor]], object], updates: list[Tensor]) -> Job:
    return lambda: aggregator(updates)
