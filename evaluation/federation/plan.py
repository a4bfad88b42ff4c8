"""How long and how hard a federation trains."""

from dataclasses import dataclass, replace

from evaluation.smart_home.training import LocalTraining


@dataclass(frozen=True)
class Plan:
    """One federation's schedule.

    Attributes:
        rounds: how often the model goes out and comes back.
        local: how a device trains in one round.
        root: how the server trains on its own trusted sentences, to have a reference for each round's updates.
        decay: factor on all learning rates from one round to the next, so that the last rounds settle.
        server_rate: factor on the mean of the accepted updates (FedOpt's server learning rate, arXiv 2003.00295).
    """

    rounds: int
    local: LocalTraining
    root: LocalTraining
    decay: float
    server_rate: float

    def in_round(self, how: LocalTraining, turn: int) -> LocalTraining:
        """``how`` with the learning rates of round ``turn``, from 1."""
        factor = self.decay ** (turn - 1)
        return replace(how, rate=how.rate * factor, adapter_rate=how.adapter_rate * factor)


FULL = Plan(
    rounds=12,
    local=LocalTraining(rate=1.2, adapter_rate=0.2),
    root=LocalTraining(epochs=2, rate=1.0, adapter_rate=0.2),
    decay=0.9,
    server_rate=1.5,
)
"""What ``make run`` does."""

QUICK = Plan(
    rounds=6,
    local=LocalTraining(rate=1.5, adapter_rate=0.3, batch=16, examples=80),
    root=LocalTraining(epochs=2, rate=1.0, adapter_rate=0.2),
    decay=0.78,
    server_rate=1.5,
)
"""A smaller run of the same job."""
