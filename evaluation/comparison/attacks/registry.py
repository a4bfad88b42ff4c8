"""Attacks by name: what each hostile device does, from when on, and what a verdict may rightly call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from controlplane.contracts.behaviour import Attack as Named
from evaluation.comparison.attacks.adaptive import PURSUING, UNDOING, Adaptive, Found
from evaluation.comparison.attacks.combined import Combined
from evaluation.comparison.attacks.freerider import FreeRider
from evaluation.comparison.attacks.imitation import GraphImitation
from evaluation.comparison.attacks.mimicry import Mimicry
from evaluation.comparison.attacks.setting import Setting
from evaluation.comparison.attacks.sleeper import Rhythm, Sleeper
from evaluation.smart_home.attacks import Attack, Backdoor, InnerProduct, LabelFlip, Replay, SignFlip, Sybil
from evaluation.trust.scenarios import CLEAN, MADE_TO_HARM, SLEEPS_UNTIL, TUNED

Data = Literal["own", "flipped", "triggered"]
"""What hostile devices train on: their own examples, the same with the next class's label, or triggered copies too."""

ON_AND_OFF = 2
"""Rounds of attacking of a sleeper, and then as many of peace."""

ALWAYS = Rhythm()


@dataclass(frozen=True)
class Scheme:
    """One way in which a federation's hostile devices behave, on whichever task.

    Attributes:
        name: for commands and files.
        title: for tables.
        source: paper, or none where it is nobody's.
        made: what each hostile device does. `Attack.distort` is for updates of any task; `Attack.poison` for sentences.
        named: what verdicts may rightly call it, the nearest first.
        data: what they train on; a task without sentences makes it of its own examples.
        rhythm: when they do so.
        is_backdoor: it is about the trigger, so that attack success says something.
    """

    name: str
    title: str
    source: str
    made: Callable[[Setting], Mapping[int, Attack]]
    named: tuple[Named, ...]
    data: Data = "own"
    rhythm: Rhythm = ALWAYS
    is_backdoor: bool = False

    @property
    def onset(self) -> int:
        """The first round of attacking, from 1."""
        return self.rhythm.onset

    def acts(self, turn: int) -> bool:
        """Whether hostile devices behave as such in a round, from 1."""
        return self.rhythm.acts(turn)


Each = Callable[[Setting, int], Attack]


def _each(attack: Each) -> Callable[[Setting], Mapping[int, Attack]]:
    return lambda setting: {device: attack(setting, device) for device in setting.hostile}


def _shared(attack: Callable[[Setting], Attack]) -> Callable[[Setting], Mapping[int, Attack]]:
    return lambda setting: dict.fromkeys(setting.hostile, attack(setting))


def _tuned(name: str) -> Callable[[Setting], Mapping[int, Attack]]:
    return _shared(lambda setting: TUNED[name].at(setting.skew))


def _backdoor(boost: float) -> Each:
    return lambda setting, device: Backdoor(setting.target, boost, seed=setting.seed + device)


def _sybil(setting: Setting, device: int) -> Attack:
    return Sybil(_backdoor(1.0)(setting, min(setting.hostile)))


def _replay(setting: Setting, device: int) -> Attack:
    return Replay(of_others=setting.hostile.index(device) % 2 == 1, seed=setting.seed)


def _on_and_off(original: Each) -> Callable[[Setting], Mapping[int, Attack]]:
    return _each(lambda setting, device: Sleeper(original(setting, device), IN_TURNS))


def adaptive(setting: Setting, like: Adaptive = UNDOING) -> Mapping[int, Attack]:
    """All hostile devices together as one that knows this defence."""
    return dict.fromkeys(setting.hostile, _anew(like, setting))


def adaptive_backdoor(setting: Setting, like: Adaptive = PURSUING) -> Mapping[int, Attack]:
    """The same, of devices that train a backdoor."""
    together = _anew(like, setting)
    return {device: Combined(_backdoor(1.0)(setting, device), together) for device in setting.hostile}


def _anew(like: Adaptive, setting: Setting) -> Adaptive:
    return replace(like, seed=setting.seed + 1, found=Found())


LATER = Rhythm(SLEEPS_UNTIL)
IN_TURNS = Rhythm(3, ON_AND_OFF)
BACKDOOR = "Bagdasaryan et al., arXiv 1807.00459"
FLIP = "Li et al., arXiv 1811.03761"
GRAPH = "after Li et al., arXiv 2404.15042, and Cai et al., arXiv 2511.07176"
MIN_MAX = "Shejwalkar and Houmansadr, NDSS 2021"
STEALTHY: tuple[Named, ...] = ("model_poisoning", "collusion", "sybil", "sign_flip", "label_flip")
"""Of those who try to look honest and harm all the same."""

_ALL = (
    Scheme(CLEAN, "none", "", lambda setting: {}, ()),
    Scheme(
        "label_flip",
        "label flip",
        "Tolpegin et al., arXiv 2007.08432",
        _shared(lambda setting: LabelFlip(setting.classes)),
        ("label_flip",),
        "flipped",
    ),
    Scheme("sign_flip", "sign flip", FLIP, _tuned("sign_flip"), ("sign_flip",)),
    Scheme(
        "inner_product",
        "inner-product manipulation",
        "Xie et al., arXiv 1903.03936",
        _tuned("inner_product"),
        MADE_TO_HARM,
    ),
    Scheme(
        "little_is_enough",
        "a little is enough",
        "Baruch et al., arXiv 1902.06156",
        _tuned("little_is_enough"),
        MADE_TO_HARM,
    ),
    Scheme("min_max", "Min-Max", MIN_MAX, _tuned("min_max"), MADE_TO_HARM),
    Scheme(
        "jittered_collusion",
        "jittered collusion",
        "inner-product manipulation, each with noise of its own",
        _shared(lambda setting: InnerProduct(2.0, jitter=0.5)),
        MADE_TO_HARM,
    ),
    Scheme(
        "backdoor", "backdoor, boost 1", BACKDOOR, _each(_backdoor(1.0)), ("backdoor",), "triggered", is_backdoor=True
    ),
    Scheme(
        "boosted_backdoor",
        "backdoor, boost 3",
        BACKDOOR,
        _each(_backdoor(3.0)),
        ("backdoor",),
        "triggered",
        is_backdoor=True,
    ),
    Scheme(
        "sybil",
        "Sybil clones of a backdoor",
        "Fung et al., arXiv 1808.04866",
        _each(_sybil),
        ("sybil", "collusion", "backdoor"),
        "triggered",
        is_backdoor=True,
    ),
    Scheme("replay", "replayed updates", "", _each(_replay), ("replay", "free_rider"), rhythm=Rhythm(2)),
    Scheme(
        "free_rider",
        "free rider, noise like the last step",
        "Lin, Du and Liu, arXiv 1911.12560",
        _shared(lambda setting: FreeRider()),
        ("free_rider", "model_poisoning", "label_flip"),
    ),
    Scheme(
        "idle_free_rider",
        "free rider, nothing with a little noise",
        "Lin, Du and Liu, arXiv 1911.12560",
        _shared(lambda setting: FreeRider("zero")),
        ("free_rider",),
    ),
    Scheme("sleeping_sign_flip", "sleeper, then sign flip", FLIP, _tuned("sign_flip"), ("sign_flip",), rhythm=LATER),
    Scheme(
        "sleeping_backdoor",
        "sleeper, then backdoor",
        BACKDOOR,
        _each(_backdoor(1.0)),
        ("backdoor",),
        "triggered",
        LATER,
        is_backdoor=True,
    ),
    Scheme(
        "on_and_off_sign_flip",
        "sleeper on and off, sign flip",
        FLIP,
        _on_and_off(lambda setting, device: SignFlip(2.0)),
        ("sign_flip",),
        rhythm=IN_TURNS,
    ),
    Scheme(
        "on_and_off_backdoor",
        "sleeper on and off, backdoor, boost 3",
        BACKDOOR,
        _on_and_off(_backdoor(3.0)),
        ("backdoor",),
        "triggered",
        IN_TURNS,
        is_backdoor=True,
    ),
    Scheme("graph_imitation", "graph imitation", GRAPH, _shared(lambda setting: GraphImitation()), STEALTHY),
    Scheme("mimicry", "statistical mimicry", "", _shared(lambda setting: Mimicry()), STEALTHY),
    Scheme(
        "adaptive",
        "adaptive, knows screening, undoes",
        "adapters/screening, controlplane/behavior/scores",
        adaptive,
        STEALTHY,
    ),
    Scheme(
        "adaptive_backdoor",
        "adaptive, knows screening, backdoor",
        "adapters/screening, controlplane/behavior/scores",
        adaptive_backdoor,
        ("backdoor", "model_poisoning"),
        "triggered",
        is_backdoor=True,
    ),
)

ATTACKS: Mapping[str, Scheme] = {scheme.name: scheme for scheme in _ALL}
"""By name, from none to those who know most. Whoever attacks on updates alone trains honestly first."""
