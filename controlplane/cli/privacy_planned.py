"""What ``ztfm privacy plan`` computes and shows."""

from dataclasses import dataclass
from typing import Any, Self

import typer
from rich.console import Console
from rich.table import Table

from controlplane.confidentiality.privacy import Accountant
from controlplane.confidentiality.privacy.planning import MOST_ROUNDS, noise_for, rounds_within
from controlplane.contracts.privacy import Mechanism, PrivacyMode, PrivacyPlan

_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Asked:
    """What is to be computed.

    Attributes:
        mechanism: what each round would be charged.
        delta: of the guarantee.
        epsilon: of the budget.
        window_days: of the budget; none where it is not said.
        rounds: that are wanted.
    """

    mechanism: Mechanism
    delta: float
    epsilon: float
    window_days: int | None
    rounds: int

    @classmethod
    def of(
        cls,
        plan: PrivacyPlan | None,
        noise: float | None,
        mode: PrivacyMode | None,
        sampling: float | None,
        delta: float | None,
        epsilon: float | None,
        rounds: int,
    ) -> Self | None:
        """Return what was asked, where a plan says what was not; none where neither says all of it."""
        kept = None if plan is None else plan.terms
        noise = noise if noise is not None or kept is None else kept.noise_multiplier
        delta = delta if delta is not None or kept is None else kept.delta
        epsilon = epsilon if epsilon is not None or plan is None else plan.budget.epsilon
        sampling = sampling if sampling is not None or kept is None else kept.sampling
        if noise is None or delta is None or epsilon is None:
            return None
        mechanism = Mechanism(mode or (kept.mode if kept else "local"), noise, 1.0 if sampling is None else sampling)
        return cls(mechanism, delta, epsilon, plan.budget.window_days if plan else None, rounds)


@dataclass(frozen=True)
class Planned:
    """What it would cost.

    Attributes:
        asked: what was.
        costs: epsilon by number of rounds.
        affordable: rounds that the budget buys.
        noise_needed: the least noise multiplier with which the wanted rounds fit; none where no noise is enough.
    """

    asked: Asked
    costs: dict[int, float]
    affordable: int
    noise_needed: float | None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            **self.asked.mechanism._asdict(),
            "delta": self.asked.delta,
            "epsilon": self.asked.epsilon,
            "window_days": self.asked.window_days,
            "rounds": self.asked.rounds,
            "costs": [{"rounds": rounds, "epsilon": epsilon} for rounds, epsilon in self.costs.items()],
            "rounds_affordable": self.affordable,
            "noise_needed": self.noise_needed,
        }


def planned(asked: Asked, accountant: Accountant) -> Planned:
    """Compute it.

    Raises:
        AccountantMissing: the library that composes is not there.
    """
    numbers = sorted({*_numbers(asked.rounds), asked.rounds})
    costs = {number: accountant.epsilon({asked.mechanism: number}, asked.delta) for number in numbers}
    return Planned(
        asked,
        costs,
        rounds_within(accountant, asked.mechanism, asked.delta, asked.epsilon),
        noise_for(accountant, asked.mechanism, asked.rounds, asked.delta, asked.epsilon),
    )


def show_plan(found: Planned) -> None:
    """Print it for people."""
    asked, one = found.asked, found.asked.mechanism
    drawn = "" if one.sampling >= 1.0 else f", each drawn with probability {one.sampling:g}"
    who = "each device adds noise to its update" if one.mode == "local" else "the aggregator adds noise to each sum"
    console = Console()
    console.print(f"{who}: multiplier {one.noise_multiplier:g}{drawn}; delta {asked.delta:g}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("rounds", "epsilon", "of the budget"):
        table.add_column(name, justify="right")
    for rounds, epsilon in found.costs.items():
        table.add_row(str(rounds), f"{epsilon:.3f}", f"{epsilon / asked.epsilon:.0%}")
    console.print(table)
    window = "" if asked.window_days is None else f" in {asked.window_days} days"
    many = "more than 100000" if found.affordable >= MOST_ROUNDS else str(found.affordable)
    typer.echo(f"epsilon {asked.epsilon:g} buys {many} rounds{window}")
    if found.noise_needed is None:
        typer.echo(f"no noise lets {asked.rounds} rounds fit in it")
    else:
        typer.echo(f"{asked.rounds} rounds fit in it from a multiplier of {found.noise_needed:.3f} on")


def _numbers(most: int) -> list[int]:
    """Give 1, 2, 5, 10, 20, 50 and so on, below a number."""
    scale, found = 1, []
    while scale <= most:
        found += [step * scale for step in _STEPS if step * scale < most]
        scale *= 10
    return found
