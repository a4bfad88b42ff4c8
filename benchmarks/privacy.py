"""What noise costs in accuracy on the demo's task, by who adds it and how many take part.

``python -m benchmarks.privacy --json``

The encoder stays as it is and the head is trained by federated averaging, so that many federations can be run. Each of
the demo's homes stands for so many devices with data like its own: their clipped updates add up, and so does the noise
that they, or the aggregator, add. Epsilon is what ``ztfm privacy plan`` says of all rounds together.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from controlplane.confidentiality.privacy import Accountant
from controlplane.contracts.privacy import Mechanism, PrivacyMode
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.task import load_task

ROUNDS, DELTA, CLIP_NORM = 12, 1e-6, 2.0
RATE, BATCH, SERVER_RATE = 1.0, 32, 1.5
SCALE = 10.0

_DEVICES = (20, 1_000, 10_000, 100_000)
_NOISE: dict[PrivacyMode, tuple[float, ...]] = {"central": (1.0, 4.0), "local": (2.0, 16.0)}


@dataclass(frozen=True)
class Run:
    """One federation.

    Attributes:
        mode: who adds the noise; empty for nobody.
        devices: how many take part.
        noise_multiplier: of the noise; 0 for none.
        epsilon: of all rounds together, at a delta of 1e-6; none where there is no noise.
        accuracy: of the model afterwards, on sentences that nobody trained on.
    """

    mode: str
    devices: int
    noise_multiplier: float
    epsilon: float | None
    accuracy: float


@dataclass(frozen=True)
class Bench:
    """Embedded sentences, of each home and for testing, with their intents."""

    shards: Sequence[tuple[Tensor, Tensor]]
    test: tuple[Tensor, Tensor]
    intents: int

    def accuracy(self, mode: PrivacyMode | None, devices: int, noise: float, seed: int) -> float:
        """Train and return the share of test sentences whose intent is told rightly."""
        generator = torch.Generator().manual_seed(seed)
        width = self.test[0].shape[1]
        head = torch.zeros(self.intents, width + 1)
        for turn in range(ROUNDS):
            updates = [self._update(head, shard, generator) for shard in self.shards]
            if mode is not None:
                updates = [update * min(1.0, CLIP_NORM / float(update.norm())) for update in updates]
            step = torch.stack(updates).mean(dim=0)
            if mode is not None:
                # Of a mean over so many: the aggregator adds noise once, devices each add theirs.
                shared = devices if mode == "central" else devices**0.5
                step = step + torch.randn(step.shape, generator=generator) * (noise * CLIP_NORM / shared)
            head = head + SERVER_RATE * 0.9**turn * step
        logits = self.test[0] @ head[:, :-1].T + head[:, -1]
        return float((logits.argmax(dim=1) == self.test[1]).float().mean())

    def _update(self, head: Tensor, shard: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        own = head.clone().requires_grad_()
        inputs, labels = shard
        for chosen in torch.split(torch.randperm(len(labels), generator=generator), BATCH):
            loss = F.cross_entropy(inputs[chosen] @ own[:, :-1].T + own[:, -1], labels[chosen])
            (slope,) = torch.autograd.grad(loss, own)
            own = (own - RATE * slope).detach().requires_grad_()
        return (own - head).detach()


def build(seed: int) -> Bench:
    """Embed the demo's sentences once."""
    task = load_task(seed)
    model = task.model()

    def embedded(sentences: Sequence[Sentence]) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            parts = [
                model.embed([one.text for one in sentences[start : start + 256]])
                for start in range(0, len(sentences), 256)
            ]
        return SCALE * torch.cat(parts), torch.tensor([one.label for one in sentences])

    return Bench([embedded(shard) for shard in task.shards], embedded(task.split.test), task.intents)


def measure(seed: int) -> list[Run]:
    """Run a federation without noise, and with it for each mode, size and multiplier."""
    bench, accountant = build(seed), Accountant()
    runs = [Run("", 20, 0.0, None, round(bench.accuracy(None, 20, 0.0, seed), 3))]
    for mode, multipliers in _NOISE.items():
        for noise in multipliers:
            epsilon = round(accountant.epsilon({Mechanism(mode, noise, 1.0): ROUNDS}, DELTA), 2)
            for devices in _DEVICES:
                found = bench.accuracy(mode, devices, noise, seed)
                runs.append(Run(mode, devices, noise, epsilon, round(found, 3)))
    return runs


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of sentences, homes and noise")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    started = time.perf_counter()
    runs = measure(options.seed)
    if options.json:
        seconds = round(time.perf_counter() - started, 1)
        stated = {"rounds": ROUNDS, "delta": DELTA, "clip_norm": CLIP_NORM, "seconds": seconds}
        print(json.dumps({**stated, "runs": [asdict(run) for run in runs]}))
        return 0
    print("| noise by | devices | multiplier | epsilon | accuracy |\n|---|---|---|---|---|")
    for run in runs:
        epsilon = "-" if run.epsilon is None else f"{run.epsilon:g}"
        print(f"| {run.mode or 'nobody'} | {run.devices} | {run.noise_multiplier:g} | {epsilon} | {run.accuracy:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
