"""Settings that are picked by trying, on federations of a seed that no table shows.

``python -m evaluation.comparison.tuning fltracer adaptive adaptive_backdoor``, in about six minutes, picks the
threshold of `Tracer` and the settings `UNDOING` and `PURSUING` of `Adaptive`. Federations are of the activity task,
with a fifth of the devices hostile.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from statistics import fmean

import torch

from evaluation.activity.ground import ActivityGround
from evaluation.activity.task import load_activity
from evaluation.comparison.attacks.adaptive import PURSUING, UNDOING
from evaluation.comparison.attacks.registry import ATTACKS, Scheme, adaptive, adaptive_backdoor
from evaluation.comparison.cells import CLEAN, Cell
from evaluation.comparison.defences.rule import ByRule
from evaluation.comparison.defences.tracer import Tracer
from evaluation.comparison.federation import federate
from evaluation.comparison.interfaces import Defence, Learning
from evaluation.comparison.measures import measures
from evaluation.comparison.planned import WHOLE
from evaluation.comparison.results import Result
from evaluation.comparison.rows import SHARE
from evaluation.comparison.system import guarding
from evaluation.comparison.tasks import ACTIVITY, RECORDINGS, WATCHES
from evaluation.demo.environment import quieten

SEED = 100
"""Of all of them; no grid has it."""

SKEW = 0.5

THRESHOLDS = (2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
TOLD_APART = (CLEAN, "sign_flip", "little_is_enough", "min_max", "boosted_backdoor", "sybil")
"""What the tracker is tried against."""

CAUTIONS = (1.0, 2.0, 4.0, 8.0)
BOOSTS = (1.5, 3.0, 6.0)

Settings = Mapping[str, float]
Opens = Callable[[Learning], AbstractContextManager[Defence]]
Federated = Callable[[Scheme, str, Opens], Result]


@dataclass(frozen=True)
class Tried:
    """What came of one choice.

    Attributes:
        settings: that were tried.
        worth: what they are worth to whoever picks them; the more the better.
    """

    settings: Settings
    worth: float


def best(found: Iterable[Tried]) -> Tried:
    """The one that is worth most; of equals the first.

    Raises:
        ValueError: nothing was tried.
    """
    return max(found, key=lambda one: one.worth)


def told_apart(result: Result) -> float:
    """True positive rate less false positive rate; where nobody attacks, less the latter alone."""
    found = measures(result.sightings, ())
    return (found.true_positive_rate or 0.0) - (found.false_positive_rate or 0.0)


def of_tracer(run: Federated) -> Iterator[Tried]:
    """Try the tracker's thresholds: their worth is the mean of `told_apart` over attacks."""
    for threshold in THRESHOLDS:
        opens = partial(_tracing, threshold=threshold)
        results = [run(ATTACKS[name], "fltracer", opens) for name in TOLD_APART]
        yield Tried({"threshold": threshold}, fmean(map(told_apart, results)))


def of_adaptive(run: Federated) -> Iterator[Tried]:
    """Try how cautious the one is that undoes: worth is the share of answers that are wrong under the whole system."""
    for caution in CAUTIONS:
        scheme = replace(ATTACKS["adaptive"], made=partial(adaptive, like=replace(UNDOING, caution=caution)))
        yield Tried({"caution": caution}, 1.0 - run(scheme, WHOLE, _whole).accuracy)


def of_backdoor(run: Federated) -> Iterator[Tried]:
    """Try how cautious the one with a backdoor is, and how far it goes: worth is its success at the end."""
    for caution, boost in product(CAUTIONS, BOOSTS):
        like = replace(PURSUING, caution=caution, boost=boost)
        scheme = replace(ATTACKS["adaptive_backdoor"], made=partial(adaptive_backdoor, like=like))
        yield Tried({"caution": caution, "boost": boost}, run(scheme, WHOLE, _whole).attack_success)


TUNED: Mapping[str, Callable[[Federated], Iterator[Tried]]] = {
    "fltracer": of_tracer,
    "adaptive": of_adaptive,
    "adaptive_backdoor": of_backdoor,
}


def _tracing(learning: Learning, threshold: float) -> AbstractContextManager[Defence]:
    return nullcontext(ByRule("fltracer", Tracer(threshold)))


def _whole(learning: Learning) -> AbstractContextManager[Defence]:
    return guarding(WHOLE, learning.devices, learning.server_rate)


def _federated(ground: ActivityGround, scheme: Scheme, defence: str, opens: Opens) -> Result:
    share = 0.0 if scheme.name == CLEAN else SHARE
    cell = Cell(task=ACTIVITY, attack=scheme.name, defence=defence, skew=SKEW, share=share, seed=SEED)
    learning = ground.under(scheme, share)
    return federate(cell, learning, opens(learning), "tuning", with_reference=defence == WHOLE)


def main() -> int:
    """Try what was asked for, and say what it comes to."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.comparison.tuning", description=__doc__)
    parser.add_argument("what", nargs="+", choices=TUNED, metavar="WHAT", help=", ".join(TUNED))
    options = parser.parse_args()
    quieten()
    logging.getLogger("ztfm").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    ground = ActivityGround(load_activity(SEED, SKEW, RECORDINGS), WATCHES)
    for name in options.what:
        found = []
        for tried in TUNED[name](partial(_federated, ground)):
            print(f"{name}: {_words(tried)}", flush=True)
            found.append(tried)
        print(f"{name}: picked {_words(best(found))}", flush=True)
    return 0


def _words(tried: Tried) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in tried.settings.items()) + f": {tried.worth:.3f}"


if __name__ == "__main__":
    sys.exit(main())
