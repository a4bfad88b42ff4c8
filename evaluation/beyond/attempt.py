"""What comes of an attack: what the attacker had, what he tried, and how often he got it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

_WIDTH = 1.96


@dataclass(frozen=True)
class Tally:
    """How often something was tried, and how often the attacker got what he wanted."""

    tried: int
    won: int

    @property
    def share(self) -> float:
        """Share that he won, in [0, 1]."""
        return self.won / self.tried if self.tried else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that share (Wilson 1927)."""
        if not self.tried:
            return 0.0, 1.0
        n, square = self.tried, _WIDTH**2
        middle = (self.share + square / (2 * n)) / (1 + square / n)
        half = _WIDTH * sqrt(self.share * (1 - self.share) / n + square / (4 * n * n)) / (1 + square / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        return f"{self.won} of {self.tried}"


@dataclass(frozen=True)
class Attempt:
    """One way of attacking, tried with a protection and without it.

    Attributes:
        attack: the family, such as ``key theft``.
        has: what the attacker has.
        tries: what he does with it.
        protection: what is to stop him.
        on: with that protection.
        off: without it; none where there is no system of ours without it to try.
        without: how it was switched off: in policy data, or by design.
        decision_ms: of wall time for one decision that the protection takes, median; none where it takes none.
        noticed: who notices, and how; empty where nobody does.
        figures: what else was measured, by name.
    """

    attack: str
    has: str
    tries: str
    protection: str
    on: Tally
    off: Tally | None
    without: str
    decision_ms: float | None = None
    noticed: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is printed."""
        return {
            "attack": self.attack,
            "has": self.has,
            "tries": self.tries,
            "protection": self.protection,
            "on": _told(self.on),
            "off": None if self.off is None else _told(self.off),
            "without": self.without,
            "decision_ms": self.decision_ms,
            "noticed": self.noticed,
            "figures": dict(self.figures),
        }


def _told(tally: Tally) -> dict[str, Any]:
    low, high = tally.interval
    return {"tried": tally.tried, "won": tally.won, "low": round(low, 4), "high": round(high, 4)}
