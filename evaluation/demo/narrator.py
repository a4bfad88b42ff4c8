"""Who is told what happens while it happens; the demo works without any listener."""

from typing import Protocol

from evaluation.demo.outcome import Outcome, RoundFigures
from evaluation.federation.devices import Worth


class Narrator(Protocol):
    """Listens to a run."""

    def stage(self, text: str) -> None:
        """A part of the run begins."""
        ...

    def worth(self, run: str, turn: int, worth: Worth) -> None:
        """A round of ``run`` ended with a global model of this worth."""
        ...

    def guarded_round(self, figures: RoundFigures) -> None:
        """The guard ruled on a round."""
        ...

    def closing(self, outcome: Outcome) -> None:
        """The run is over."""
        ...


class Silent:
    """Listens to nothing."""

    def stage(self, text: str) -> None:
        """Pass over."""

    def worth(self, run: str, turn: int, worth: Worth) -> None:
        """Pass over."""

    def guarded_round(self, figures: RoundFigures) -> None:
        """Pass over."""

    def closing(self, outcome: Outcome) -> None:
        """Pass over."""
