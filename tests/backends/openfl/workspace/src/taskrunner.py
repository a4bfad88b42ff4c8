"""What collaborators learn: which of four corners a point is nearest to. Collaborator two flips the sign of it."""

from typing import Any

import numpy as np
import torch
from openfl.federated import PyTorchTaskRunner
from openfl.utilities import Metric
from torch import nn

from examples.nvflare_job import net

ATTACKER = 2


class Corners(PyTorchTaskRunner):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.net = net.Net()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.5)
        self.loss_fn = nn.functional.cross_entropy

    def train_(self, batches: Any) -> Metric:
        before = {name: value.clone() for name, value in self.net.state_dict().items()}
        for points, labels in batches:
            net.train(self.net, torch.from_numpy(points), torch.from_numpy(labels))
        if self.data_loader.number == ATTACKER:
            after = self.net.state_dict()
            self.net.load_state_dict({name: 2 * value - after[name] for name, value in before.items()})
        return Metric(name="loss", value=np.array(0.0))

    def validate_(self, batches: Any) -> Metric:
        found = [
            net.accuracy(self.net, torch.from_numpy(points), torch.from_numpy(labels)) for points, labels in batches
        ]
        return Metric(name="accuracy", value=np.array(np.mean(found)))
