"""Progress on a terminal: one bar for each federation, and a table at the end."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from evaluation.demo.outcome import RUNS, Inference, Outcome, RoundFigures
from evaluation.federation.devices import Worth

WORTH = "accuracy {:.3f}  attack success {:.3f}"


class Terminal:
    """Shows a run while it happens. A context manager, so that the terminal is whole again whatever happens.

    Args:
        console: where.
        rounds: of each federation.
    """

    def __init__(self, console: Console, rounds: int) -> None:
        self._console = console
        self._rounds = rounds
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[worth]}[dim]{task.fields[note]}[/]"),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, text: str) -> None:
        """A part of the run begins."""
        self._progress.console.print(f"[dim]·[/] {text}")

    def worth(self, run: str, turn: int, worth: Worth) -> None:
        """A round ended."""
        shown = WORTH.format(worth.accuracy, worth.attack_success)
        self._progress.update(self._bar(run), completed=turn, worth=shown)

    def guarded_round(self, figures: RoundFigures) -> None:
        """The guard ruled on a round."""
        note = f"  {figures.accepted} accepted, {figures.refused} refused"
        self._progress.update(self._bar("guarded"), note=note)
        if figures.quarantined:
            names = ", ".join(figures.quarantined)
            self._progress.console.print(f"  [yellow]quarantined in round {figures.turn}:[/] {names}")

    def closing(self, outcome: Outcome) -> None:
        """The run is over."""
        self._progress.stop()
        self._console.print(_federations(outcome), _inferences(outcome), _decisions(outcome), sep="\n")

    def _bar(self, run: str) -> TaskID:
        if run not in self._bars:
            self._bars[run] = self._progress.add_task(f"{run:9}", total=self._rounds, worth="", note="")
        return self._bars[run]


def _federations(outcome: Outcome) -> Table:
    table = Table("federation", "accuracy", "attack success", title="What attacks do, and what the guard saves")
    for run in RUNS:
        worth = outcome.final(run)
        table.add_row(run, f"{worth.accuracy:.3f}", f"{worth.attack_success:.3f}")
    caught, wronged = len(outcome.caught), len(outcome.wronged)
    table.caption = (
        f"attackers quarantined: {caught} of {len(outcome.attackers)}; honest devices quarantined: {wronged} "
        f"of {outcome.devices - len(outcome.attackers)}"
    )
    if outcome.attested:
        table.caption += f"\nattested by TPMs in software: {attested(outcome)}"
    return table


def _inferences(outcome: Outcome) -> Table:
    table = Table("caller", "standing", "trust", "asked", "answer", title="Inferences from the tuned model")
    for one in outcome.inferences:
        table.add_row(one.caller, one.standing, f"{one.trust:.2f}", one.text, answer_of(one))
    return table


def _decisions(outcome: Outcome) -> Table:
    table = Table("action", "allow", "deny", "error", title=f"Decisions by policy {outcome.policy_revision}")
    for action, counts in outcome.decisions.items():
        table.add_row(action, *(str(counts[name]) for name in ("allow", "deny", "error")))
    attacks = ", ".join(f"{name}: {cause or 'PASSED'}" for name, cause in outcome.credential_attacks.items())
    table.caption = f"attacks on credentials and why they were refused: {attacks}"
    return table


def attested(outcome: Outcome) -> str:
    """How many homes proved what they run on, and why others did not, in a few words."""
    refused = ", ".join(f"{device} ({', '.join(wrong)})" for device, wrong in outcome.unproven.items())
    proven = f"{sum(outcome.proven.values())} of {len(outcome.attested)}"
    return f"{proven}; refused: {refused}" if refused else proven


def answer_of(one: Inference) -> str:
    """What a caller got, in a few words."""
    if not one.answered:
        return "denied: " + ", ".join(reason.code for reason in one.reasons)
    if not one.likelihoods:
        return f"{one.intent} (label only)"
    return ", ".join(f"{name} {value:.2f}" for name, value in one.likelihoods.items())
