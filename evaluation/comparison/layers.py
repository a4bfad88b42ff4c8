"""The layers of this system, switched off one by one: each variant is the shipped policies with other limits."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controlplane.sidecar.folders import product_folder

OWN = "policies"
"""The defence that is this system with an author's own policies."""

LIMITS = Path("data") / "limits" / "data.json"

NO_TRUST: Mapping[str, Any] = {
    # Evidence of one over this is never reached, so that nobody is set apart.
    "behaviour": {"alpha": 1e-300, "rollback_rounds": 0},
    "sensitivities": {"internal": {"trust_minimum": 0.0}},
}

NO_SCREENING: Mapping[str, Any] = {
    "behaviour": {"p_minimum": 0.0},
    "evidence": {
        "clip_norm_ratio": 1e6,
        "cosine_minimum": -1.0,
        "norm_maximum": 1e12,
        "norm_ratio_maximum": 1e12,
        "replay_cosine_maximum": 2.0,
    },
}


@dataclass(frozen=True)
class Layers:
    """A variant of this system.

    Attributes:
        name: for cells.
        title: for tables.
        says: what is on and what is off.
        limits: that differ from the shipped ones.
    """

    name: str
    title: str
    says: str
    limits: Mapping[str, Any] = field(default_factory=dict)


VARIANTS = (
    Layers("ztfm", "this system, whole", "every layer, with the shipped policies"),
    Layers(
        "ztfm_no_rollback",
        "without rollback",
        "screening and trust; who is set apart stays so, and what it contributed stays in the model",
        {"behaviour": {"rollback_rounds": 0}},
    ),
    Layers(
        "ztfm_screening",
        "screening alone",
        "each update is judged by itself; nobody is ever set apart, and trust decides nothing",
        NO_TRUST,
    ),
    Layers(
        "ztfm_identity",
        "identity and capabilities alone",
        "enrolled keys and capabilities for each round; of updates only exact copies and broken tensors are refused",
        {**NO_SCREENING, **NO_TRUST, "behaviour": {**NO_SCREENING["behaviour"], **NO_TRUST["behaviour"]}},
    ),
)

BY_NAME: Mapping[str, Layers] = {layers.name: layers for layers in VARIANTS}


def policies_of(layers: Layers, folder: Path, base: Path | None = None) -> Path:
    """Write the policies of a variant into ``folder`` and return where they are.

    Args:
        layers: the variant.
        folder: that has none yet.
        base: whose policies they are; none for the shipped ones.

    Raises:
        OSError: they cannot be read or written.
    """
    written = folder / "policies"
    shutil.copytree(base or product_folder("policies"), written)
    file = written / LIMITS
    limits = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(merged(limits, layers.limits), indent=2), encoding="utf-8")
    return written


def merged(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``other``, objects within objects joined."""
    found = dict(base)
    for name, value in other.items():
        is_object = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        found[name] = merged(found[name], value) if is_object else value
    return found
