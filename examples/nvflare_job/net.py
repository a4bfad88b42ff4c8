"""What is learned: which of four corners a point is nearest to. Replace this module with your own task."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

CORNERS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


class Net(nn.Module):
    """A small classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 16)
        self.head = nn.Linear(16, len(CORNERS))

    def forward(self, points: Tensor) -> Tensor:
        """Return logits, [examples, corners]."""
        return self.head(torch.tanh(self.hidden(points)))  # type: ignore[no-any-return]


def shard(number: int, examples: int = 64) -> tuple[Tensor, Tensor]:
    """Return a party's own points, [examples, 2], and their corners, [examples]."""
    drawn = torch.Generator().manual_seed(1000 + number)
    labels = torch.randint(len(CORNERS), (examples,), generator=drawn)
    return CORNERS[labels] + 0.4 * torch.randn(examples, 2, generator=drawn), labels


def train(model: nn.Module, points: Tensor, labels: Tensor, epochs: int = 2) -> None:
    """Train in place."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(epochs):
        loss = F.cross_entropy(model(points), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, points: Tensor, labels: Tensor) -> float:
    """Share of points whose corner is found, in [0, 1]."""
    return float((model(points).argmax(dim=1) == labels).float().mean())
