"""Progress as plain lines: for a file, a pipe, or beside JSON."""

import time
from typing import TextIO

from evaluation.demo.outcome import RUNS, Outcome, RoundFigures
from evaluation.demo.terminal import attested
from evaluation.federation.devices import Worth


class PlainLines:
    """Writes one line for everything that happens.

    Args:
        to: where.
    """

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._began = time.monotonic()

    def stage(self, text: str) -> None:
        """A part of the run begins."""
        self._line(text)

    def worth(self, run: str, turn: int, worth: Worth) -> None:
        """A round ended."""
        self._line(f"{run} round {turn}: accuracy {worth.accuracy:.3f}, attack success {worth.attack_success:.3f}")

    def guarded_round(self, figures: RoundFigures) -> None:
        """The guard ruled on a round."""
        names = f", quarantined: {' '.join(figures.quarantined)}" if figures.quarantined else ""
        self._line(f"guarded round {figures.turn}: {figures.accepted} accepted, {figures.refused} refused{names}")

    def closing(self, outcome: Outcome) -> None:
        """The run is over."""
        for run in RUNS:
            worth = outcome.final(run)
            self._line(f"{run:9} accuracy {worth.accuracy:.3f}  attack success {worth.attack_success:.3f}")
        self._line(
            f"attackers quarantined: {len(outcome.caught)} of {len(outcome.attackers)}; "
            f"honest devices quarantined: {len(outcome.wronged)}"
        )
        if outcome.attested:
            self._line(f"attested by TPMs in software: {attested(outcome)}")

    def _line(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", file=self._to, flush=True)
