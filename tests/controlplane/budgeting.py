"""A control plane with budgets that tests can use up, at a time of which they know how much of an hour is left."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controlplane.sidecar.folders import product_folder
from tests.support import ControlPlane, running

HOUR = 1_800_000_000.0
"""When an hour begins, Unix seconds."""

AMPLE = {"requests": 1_000_000, "tokens": 100_000_000}


def windows(requests: int, tokens: int) -> dict[str, Any]:
    """Return a budget that has so much in an hour, and more in a day."""
    return {"hour": {"requests": requests, "tokens": tokens}, "day": AMPLE}


def budgets(**changes: Any) -> dict[str, Any]:
    """Return data of budgets that have ample room, with these changed by scope."""
    ample = {"any": {"hour": AMPLE, "day": AMPLE}}
    return {
        "lease": {"requests": 10, "tokens": 1000, "seconds": 60, "share": 0.5, "leases": 8},
        "standing": {"full": 1, "watched": 1},
        "subject": ample,
        "model": ample,
        "segment": ample,
        **changes,
    }


def policies_with(folder: Path, data: dict[str, Any]) -> Path:
    """Return a folder with the product's policies and these budgets."""
    made = folder / "policies"
    shutil.copytree(product_folder("policies"), made)
    (made / "data" / "budgets" / "data.json").write_text(json.dumps(data))
    return made


def clock_from(moment: float) -> Callable[[], float]:
    """Return a clock that stands at a moment (Unix seconds) now, and goes on."""
    begun = time.monotonic()
    return lambda: moment + time.monotonic() - begun


@contextmanager
def planes_with(folder: Path, data: dict[str, Any], at: float = HOUR, **settings: Any) -> Iterator[ControlPlane]:
    """Run a control plane with these budgets, whose clock stands at a moment to begin with."""
    with running(clock=clock_from(at), policies=policies_with(folder, data), **settings) as plane:
        yield plane
