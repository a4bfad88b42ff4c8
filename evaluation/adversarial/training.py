"""Local training in which every batch is also learnt from where a model would understand it worst."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F  # noqa: N812

from evaluation.adversarial.perturbing import Perturbation, perturbed, understood
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.model import TunedModel
from evaluation.smart_home.training import LocalTraining, Update


@dataclass(frozen=True)
class AdversarialTraining(LocalTraining):
    """How a device trains in one round, with perturbed vectors beside the plain ones.

    Attributes:
        against: what is perturbed; a radius of 0 trains as everybody does.
        share: of the loss that perturbed vectors have, in [0, 1].
    """

    against: Perturbation = field(default_factory=lambda: Perturbation(0.0))
    share: float = 0.5

    @classmethod
    def of(cls, how: LocalTraining, against: Perturbation) -> "AdversarialTraining":
        """Return a way of training with perturbations added."""
        kept = {name: getattr(how, name) for name in ("epochs", "rate", "adapter_rate", "batch", "examples")}
        return cls(**kept, against=against)

    def slower(self, factor: float) -> "AdversarialTraining":
        """Return the same with other learning rates."""
        return replace(self, rate=self.rate * factor, adapter_rate=self.adapter_rate * factor)


def train_against(model: TunedModel, shard: Sequence[Sentence], how: AdversarialTraining, seed: int) -> Update:
    """Train ``model`` in place and return what changed, as `evaluation.smart_home.training.train_locally` does."""
    before = model.trainable_state()
    groups = [
        {"params": list(model.head.parameters()), "lr": how.rate},
        {"params": list(model.adapter.parameters()), "lr": how.adapter_rate},
    ]
    optimizer = torch.optim.SGD(groups)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(shard), generator=generator)[: how.examples or None]
    for _ in range(how.epochs):
        for chosen in torch.split(drawn[torch.randperm(len(drawn), generator=generator)], how.batch):
            batch = [shard[index] for index in chosen.tolist()]
            labels = torch.tensor([sentence.label for sentence in batch])
            vectors = model.embed([sentence.text for sentence in batch])
            loss = F.cross_entropy(understood(model, vectors), labels)
            if how.against.radius > 0.0:
                # What is added stays as it is found; the gradient leads through the vectors that it is added to.
                added = perturbed(model, vectors, labels, how.against) - vectors.detach()
                worst = F.cross_entropy(understood(model, vectors + added), labels)
                loss = (1.0 - how.share) * loss + how.share * worst
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {name: value - before[name] for name, value in model.trainable_state().items()}
