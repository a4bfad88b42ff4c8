"""The tasks of the comparison: each made once for a skew and seed, and put under any attack."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from evaluation.activity import training as watches
from evaluation.activity.ground import ActivityGround
from evaluation.activity.task import load_activity
from evaluation.comparison.attacks import ATTACKS
from evaluation.comparison.cells import Cell
from evaluation.comparison.fleet import Ground
from evaluation.comparison.interfaces import Learning
from evaluation.federation import plan as homes
from evaluation.smart_home.ground import HomeGround
from evaluation.smart_home.task import load_task
from evaluation.smart_home.training import LocalTraining

SMART_HOME, ACTIVITY = "smart_home", "activity"

RECORDINGS = Path(".cache/activity")

HOMES = homes.Plan(
    rounds=10,
    local=LocalTraining(rate=1.5, adapter_rate=0.3, batch=16, examples=48),
    root=LocalTraining(epochs=2, rate=1.0, adapter_rate=0.2),
    decay=0.87,
    server_rate=1.5,
)
"""More rounds than the demo's smaller run, each on fewer sentences: sleepers need time, and there is an hour in all."""

WATCHES = replace(watches.FULL, rounds=10, local=watches.LocalTraining(epochs=2, rate=0.1, examples=96))
"""As above, for watches."""


def smart_home(cell: Cell, size: str, folder: Path) -> Learning:
    """Intents of a home's sentences; the frozen encoder's output is kept in ``folder``.

    Raises:
        ValueError: homes have no data as it came about, so that a skew is needed.
    """
    if cell.skew is None:
        raise ValueError("the smart-home task has no data as they came about: give --skew a number")
    return _homes(cell.skew, cell.seed, size, folder).under(ATTACKS[cell.attack], cell.share)


def activity(cell: Cell, size: str, folder: Path) -> Learning:
    """Exercises in a smartwatch's signals, fetched once.

    Raises:
        RecordingsError: the signals cannot be had.
    """
    return _watches(cell.skew, cell.seed, size).under(ATTACKS[cell.attack], cell.share)


# One at a time is enough: cells of one skew and seed follow one another in a process.
@lru_cache(maxsize=1)
def _homes(skew: float, seed: int, size: str, folder: Path) -> Ground:
    plan = homes.QUICK if size == "quick" else HOMES
    return HomeGround(load_task(seed, folder / "trunk", alpha=skew), plan, skew)


@lru_cache(maxsize=1)
def _watches(skew: float | None, seed: int, size: str) -> Ground:
    task = load_activity(seed, skew, RECORDINGS)
    return ActivityGround(task, watches.QUICK if size == "quick" else WATCHES)
