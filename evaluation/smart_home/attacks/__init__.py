"""What hostile devices do: they train on other sentences, or send something else than their training yielded."""

from evaluation.smart_home.attacks.attack import Attack, Knowledge
from evaluation.smart_home.attacks.backdoor import TARGET, TRIGGER, Backdoor, triggered
from evaluation.smart_home.attacks.flipping import LabelFlip, SignFlip
from evaluation.smart_home.attacks.omniscient import InnerProduct, LittleIsEnough, MinMax
from evaluation.smart_home.attacks.replay import Replay
from evaluation.smart_home.attacks.sybil import Sybil

__all__ = [
    "TARGET",
    "TRIGGER",
    "Attack",
    "Backdoor",
    "InnerProduct",
    "Knowledge",
    "LabelFlip",
    "LittleIsEnough",
    "MinMax",
    "Replay",
    "SignFlip",
    "Sybil",
    "triggered",
]
