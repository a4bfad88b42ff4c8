"""The network: two strided convolutions over time, what they find on average and at most, and a linear head."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from evaluation.activity.recordings import CHANNELS

WIDE, DEEP = 48, 96


class Network(nn.Module):
    """Tells exercises from two seconds of a watch's signals; 27 703 values for seven exercises, all of them trained.

    Normalised in groups (Wu and He, arXiv 1803.08494): statistics of batches differ between devices that each know
    few exercises.

    Args:
        classes: how many exercises there are.
        seed: draws the values before the first round. All devices of a federation use the same.
    """

    def __init__(self, classes: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.found = nn.Sequential(
                nn.Conv1d(len(CHANNELS), WIDE, kernel_size=10, stride=5),
                nn.GroupNorm(4, WIDE),
                nn.ReLU(),
                nn.Conv1d(WIDE, DEEP, kernel_size=5, stride=3, padding=1),
                nn.GroupNorm(8, DEEP),
                nn.ReLU(),
            )
            self.head = nn.Linear(2 * DEEP, classes)

    def forward(self, signals: Tensor) -> Tensor:
        """Logits, [windows, classes], of signals [windows, 6, samples]."""
        found = self.found(signals)
        logits: Tensor = self.head(torch.cat([found.mean(2), found.amax(2)], dim=1))
        return logits

    def trainable_state(self) -> dict[str, Tensor]:
        """A copy of everything that a round exchanges, by name; float32."""
        return {name: parameter.detach().clone() for name, parameter in self.named_parameters()}

    @torch.no_grad()
    def load_trainable(self, state: Mapping[str, Tensor]) -> None:
        """Take over a global state.

        Raises:
            ValueError: names or shapes differ from the network's.
        """
        own = dict(self.named_parameters())
        if own.keys() != state.keys() or any(own[name].shape != state[name].shape for name in own):
            raise ValueError("the state's names or shapes are not the network's")
        for name, parameter in own.items():
            parameter.copy_(state[name])
