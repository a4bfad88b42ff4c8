"""The two grids: one that is done in an hour on two cores, and one in minutes.

What a federation costs was measured, in processor seconds with both cores busy: `cost`. Plain averaging of every attack
is run in any case, for it says whether the attack does harm; attacks that do none are tried against few defences.
"""

from collections.abc import Mapping

from evaluation.comparison.cells import CLEAN, PLAIN
from evaluation.comparison.grids import Block, Grid
from evaluation.comparison.layers import BY_NAME, OWN
from evaluation.comparison.tasks import ACTIVITY, SMART_HOME

WHOLE = "ztfm"

LOUD = (
    CLEAN,
    "label_flip",
    "sign_flip",
    "inner_product",
    "little_is_enough",
    "min_max",
    "jittered_collusion",
    "backdoor",
    "boosted_backdoor",
    "sybil",
    "on_and_off_backdoor",
    "graph_imitation",
    "adaptive",
)
QUIET = (
    "replay",
    "free_rider",
    "idle_free_rider",
    "sleeping_sign_flip",
    "sleeping_backdoor",
    "on_and_off_sign_flip",
    "mimicry",
    "adaptive_backdoor",
)
OTHERS = (
    PLAIN,
    "geometric_median",
    "multi_krum",
    "nnm_trimmed_mean",
    "fltrust",
    "flame",
    "fltracer",
    "screening",
    "trust",
)

FULL = Grid(
    "full",
    (
        Block((ACTIVITY,), LOUD, (*OTHERS, WHOLE)),
        Block((ACTIVITY,), QUIET, (PLAIN, WHOLE)),
        Block(
            (ACTIVITY,),
            (CLEAN, "sign_flip", "boosted_backdoor"),
            ("ztfm_identity", "ztfm_screening", "ztfm_no_rollback"),
        ),
        Block(
            (ACTIVITY,),
            (CLEAN, "sign_flip", "min_max", "boosted_backdoor"),
            (PLAIN, "multi_krum", "flame", WHOLE),
            skews=(0.1,),
        ),
        Block((ACTIVITY,), (CLEAN, "sign_flip", "boosted_backdoor"), (PLAIN, WHOLE), skews=(None,)),
        Block((ACTIVITY,), ("sign_flip", "boosted_backdoor"), (PLAIN, "flame", WHOLE), shares=(0.1, 0.3)),
        Block((SMART_HOME,), (CLEAN, "sign_flip", "boosted_backdoor", "adaptive"), (PLAIN, "multi_krum", WHOLE)),
        Block((SMART_HOME,), (CLEAN, "boosted_backdoor"), (PLAIN, WHOLE), skews=(0.1,)),
    ),
)

QUICK = Grid(
    "quick",
    (
        Block((ACTIVITY,), (CLEAN, "sign_flip", "boosted_backdoor"), (PLAIN, "multi_krum", "flame", WHOLE), seeds=(0,)),
        Block((SMART_HOME,), (CLEAN, "sign_flip", "boosted_backdoor"), (PLAIN, WHOLE), seeds=(0,)),
    ),
)

GRIDS: Mapping[str, Grid] = {grid.size: grid for grid in (FULL, QUICK)}

CONTROL_PLANE = 8.5
"""Processor seconds of a control plane, its OPA, 20 enrolments, and ten rounds of decisions."""

TRAINING: Mapping[tuple[str, str], float] = {
    ("full", ACTIVITY): 5.7,
    ("full", SMART_HOME): 26.0,
    ("quick", ACTIVITY): 3.3,
    ("quick", SMART_HOME): 17.0,
}
"""Processor seconds of a federation's training, by size and task."""

LIMITS: Mapping[str, float] = {"full": 3600.0, "quick": 240.0}
"""Seconds that a grid may take on two cores."""


def cost(size: str, task: str, defence: str) -> float:
    """Processor seconds that a federation takes."""
    return TRAINING[size, task] + (CONTROL_PLANE if defence in BY_NAME or defence == OWN else 0.0)
