"""Local training on one watch's windows, and how long and how hard a federation trains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from evaluation.activity.network import Network
from evaluation.activity.windows import Signals, Window, labels_of


@dataclass(frozen=True)
class LocalTraining:
    """How a device trains in one round.

    Attributes:
        epochs: passes over what it draws.
        rate: SGD learning rate.
        batch: windows per step.
        examples: most windows that a device draws from its own for one round; 0 for all of them.
    """

    epochs: int
    rate: float
    batch: int = 32
    examples: int = 0


@dataclass(frozen=True)
class Schedule:
    """One federation's schedule; as `evaluation.federation.plan.Plan`, for this task.

    Attributes:
        rounds: how often the network goes out and comes back.
        local: how a device trains in one round.
        root: how the server trains on its own trusted windows.
        decay: factor on the learning rate from one round to the next.
        server_rate: factor on a defence's step.
    """

    rounds: int
    local: LocalTraining
    root: LocalTraining
    decay: float
    server_rate: float

    def in_round(self, how: LocalTraining, turn: int) -> LocalTraining:
        """``how`` with the learning rate of round ``turn``, from 1."""
        return replace(how, rate=how.rate * self.decay ** (turn - 1))


FULL = Schedule(
    rounds=12,
    local=LocalTraining(epochs=1, rate=0.1),
    root=LocalTraining(epochs=4, rate=0.1),
    decay=0.9,
    server_rate=1.5,
)
QUICK = Schedule(
    rounds=6,
    local=LocalTraining(epochs=2, rate=0.1, examples=96),
    root=LocalTraining(epochs=4, rate=0.1),
    decay=0.85,
    server_rate=1.5,
)
"""A smaller run of the same job."""


def train_locally(
    network: Network, signals: Signals, shard: Sequence[Window], how: LocalTraining, seed: int
) -> dict[str, Tensor]:
    """Train ``network`` in place on ``shard`` and return what changed: trained minus received, by tensor name."""
    before = network.trainable_state()
    optimizer = torch.optim.SGD(network.parameters(), lr=how.rate)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(shard), generator=generator)[: how.examples or None]
    chosen = [shard[index] for index in drawn.tolist()]
    read, labels = signals.read(chosen), labels_of(chosen)
    for _ in range(how.epochs):
        for batch in torch.split(torch.randperm(len(chosen), generator=generator), how.batch):
            loss = F.cross_entropy(network(read[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {name: value - before[name] for name, value in network.trainable_state().items()}


@torch.no_grad()
def predicted(network: Network, signals: Signals, windows: Sequence[Window]) -> Tensor:
    """The most likely exercise of each window, [windows] int64."""
    found: Tensor = network(signals.read(windows)).argmax(dim=1)
    return found
