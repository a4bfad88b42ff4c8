"""Clocks that a test holds the hands of."""

import time
from dataclasses import dataclass

START = 1_767_225_600.0


@dataclass
class Clock:
    """Stands still at ``now`` (Unix seconds) until a test moves it."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class EarlyClock:
    """The real time, put forward by ``ahead`` seconds."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead
