"""Attacks of the comparison: the existing ones and those that came with it, for updates of whichever task."""

from evaluation.comparison.attacks.registry import ATTACKS, Data, Scheme
from evaluation.comparison.attacks.setting import Setting
from evaluation.comparison.attacks.sleeper import Rhythm

__all__ = ["ATTACKS", "Data", "Rhythm", "Scheme", "Setting"]
