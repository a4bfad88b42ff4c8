"""How long and how hard a federation trains."""

from dataclasses import dataclass

from evaluation.smart_home.training import LocalTraining


@dataclass(frozen=True)
class Plan:
    """One federation's schedule.

    Attributes:
        rounds: how often the model goes out and comes back.
        local: how a device trains in one round.
        root: how the server trains on its own trusted sentences, to have a reference for each round's updates.
        server_rate: factor on the mean of the accepted updates (FedOpt's server learning rate, arXiv 2003.00295).
    """

    rounds: int
    local: LocalTraining
    root: LocalTraining
    server_rate: float


FULL = Plan(
    rounds=8,
    local=LocalTraining(rate=1.0, adapter_rate=0.2),
    root=LocalTraining(epochs=2, rate=1.0, adapter_rate=0.2),
    server_rate=1.5,
)
"""What ``make run`` does."""

QUICK = Plan(
    rounds=5,
    local=LocalTraining(rate=1.0, adapter_rate=0.2, batch=16, examples=96),
    root=LocalTraining(epochs=2, rate=1.0, adapter_rate=0.2),
    server_rate=1.5,
)
"""A smaller run of the same job."""
