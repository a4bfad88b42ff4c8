"""Which attacks are tried, how hard, from which round on, and what a verdict should call them.

Four of twenty devices attack. Strengths of the attacks on the model are the least of a few steps at which federated
averaging loses five points of accuracy; weaker ones would be harder to see, and not worth seeing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controlplane.contracts.behaviour import Attack as Named
from evaluation.smart_home.attacks import (
    Attack,
    Backdoor,
    InnerProduct,
    LabelFlip,
    LittleIsEnough,
    MinMax,
    Replay,
    SignFlip,
    Sybil,
)
from evaluation.smart_home.task import Task

SKEWS = (0.5, 0.1)
"""Parameters of the Dirichlet distribution of a device's intents; the smaller, the less alike devices are."""

SLEEPS_UNTIL = 6


@dataclass(frozen=True)
class Tuned:
    """An attack on the model whose strength was tuned, `evaluation.trust.tuning` says how.

    Attributes:
        attack: of a strength.
        steps: strengths that are tried, the weakest first.
        chosen: by skew.
    """

    attack: Callable[[float], Attack]
    steps: tuple[float, ...]
    chosen: Mapping[float, float]

    def at(self, skew: float) -> Attack:
        """The attack at the strength of the nearest skew that it was tuned for."""
        return self.attack(self.chosen[min(self.chosen, key=lambda tuned: abs(tuned - skew))])


TUNED: Mapping[str, Tuned] = {
    "sign_flip": Tuned(SignFlip, (1.0, 1.5, 2.0), {0.5: 1.0, 0.1: 1.0}),
    "inner_product": Tuned(InnerProduct, (1.0, 1.5, 2.0), {0.5: 2.0, 0.1: 2.0}),
    "little_is_enough": Tuned(LittleIsEnough, (1.5, 2.0, 2.5), {0.5: 2.5, 0.1: 1.5}),
    "min_max": Tuned(lambda reach: MinMax("unit", reach), (1.0, 1.25, 1.5), {0.5: 1.25, 0.1: 1.0}),
}


@dataclass(frozen=True)
class Scenario:
    """One way in which the hostile devices of a task behave.

    Attributes:
        name: for commands and files.
        title: for tables.
        attack: what one hostile device does; given the task, the skew, and which one it is.
        named: what verdicts may rightly call it, the nearest first.
        onset: the round from which it does so, from 1.
        is_backdoor: it is about the trigger, so that attack success says something.
    """

    name: str
    title: str
    attack: Callable[[Task, float, int], Attack]
    named: tuple[Named, ...]
    onset: int = 1
    is_backdoor: bool = False

    def attacks(self, task: Task, skew: float) -> dict[int, Attack]:
        """What each hostile device of ``task`` does."""
        return {device: self.attack(task, skew, device) for device in sorted(task.attacks)}


def _tuned(name: str) -> Callable[[Task, float, int], Attack]:
    return lambda task, skew, device: TUNED[name].at(skew)


def _backdoor(boost: float) -> Callable[[Task, float, int], Attack]:
    return lambda task, skew, device: Backdoor(task.target, boost, seed=task.seed + device)


def _replay(task: Task, skew: float, device: int) -> Attack:
    return Replay(of_others=sorted(task.attacks).index(device) % 2 == 1, seed=task.seed)


MADE_TO_HARM: tuple[Named, ...] = ("model_poisoning", "collusion", "sybil", "sign_flip")
"""Of several who send one vector that is made of the others' and goes against them: all four say what it is."""

SCENARIOS = (
    Scenario("sign_flip", "sign flip", _tuned("sign_flip"), ("sign_flip",)),
    Scenario("inner_product", "inner-product manipulation", _tuned("inner_product"), MADE_TO_HARM),
    Scenario("little_is_enough", "a little is enough", _tuned("little_is_enough"), MADE_TO_HARM),
    Scenario("min_max", "Min-Max", _tuned("min_max"), MADE_TO_HARM),
    Scenario("label_flip", "label flip", lambda task, skew, device: LabelFlip(task.intents), ("label_flip",)),
    Scenario("backdoor", "backdoor, boost 1", _backdoor(1.0), ("backdoor",), is_backdoor=True),
    Scenario("boosted_backdoor", "backdoor, boost 3", _backdoor(3.0), ("backdoor",), is_backdoor=True),
    Scenario(
        "sybil",
        "Sybil clones of a backdoor",
        lambda task, skew, device: Sybil(_backdoor(1.0)(task, skew, min(task.attacks))),
        ("sybil", "collusion", "backdoor"),
        is_backdoor=True,
    ),
    Scenario("replay", "replayed updates", _replay, ("replay", "free_rider"), onset=2),
    Scenario("sleeping_sign_flip", "sleeper, then sign flip", _tuned("sign_flip"), ("sign_flip",), onset=SLEEPS_UNTIL),
    Scenario(
        "sleeping_backdoor",
        "sleeper, then backdoor",
        _backdoor(1.0),
        ("backdoor",),
        onset=SLEEPS_UNTIL,
        is_backdoor=True,
    ),
)

CLEAN = "none"
"""The name of a cell in which nobody attacks."""

BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}
