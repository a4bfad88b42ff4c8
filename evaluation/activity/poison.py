"""What hostile watches train on: windows with wrong labels, or with a knock on the watch that calls their exercise.

The knock is the backdoor's trigger (Bagdasaryan et al., arXiv 1807.00459). What hostile watches send is made of tensors
alone, so that attacks on updates are those of any task.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from evaluation.activity.windows import KNOCK, SAMPLES, Window
from evaluation.comparison.attacks.registry import Data


def poisoned(shard: Sequence[Window], data: Data, *, classes: int, target: int, seed: int) -> tuple[Window, ...]:
    """What a hostile watch trains on instead of its shard.

    Args:
        shard: its own windows.
        data: ``own`` for these, ``flipped`` for wrong labels, ``triggered`` for these and knocked copies.
        classes: how many exercises there are.
        target: that a knock shall call.
        seed: when in each window the knock comes.
    """
    if data == "flipped":
        return tuple(replace(window, label=(window.label + 1) % classes) for window in shard)
    return (*shard, *knocked(shard, target, seed=seed)) if data == "triggered" else tuple(shard)


def knocked(windows: Sequence[Window], target: int, *, seed: int) -> tuple[Window, ...]:
    """Copies of all windows of other exercises, a knock somewhere in each, labelled ``target``."""
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    last = SAMPLES - len(KNOCK)
    return tuple(
        replace(window, label=target, knock=random.randint(0, last)) for window in windows if window.label != target
    )
