"""Policies that have the demo's model trained with noise."""

import json
import shutil
from pathlib import Path
from typing import Any

from controlplane.sidecar.folders import product_folder
from tests.support import MODEL

DATA_SET = "homes"


def noising(folder: Path, *, epsilon: float = 1.0, window_days: int = 7, **plan: Any) -> Path:
    """Return a folder of policies in which the demo's model has a plan."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    stated = {"clip_norm": 1.0, "data_set": DATA_SET, "mode": "local", "noise_multiplier": 16.0, **plan}
    data = {
        "data_sets": {
            DATA_SET: {"delta": 1e-6, "description": "Homes.", "epsilon": epsilon, "window_days": window_days}
        },
        "models": {MODEL: stated},
    }
    (policies / "data/privacy/data.json").write_text(json.dumps(data))
    return policies
