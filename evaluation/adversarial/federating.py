"""A federation whose devices train against perturbations: how well it understands then, and what it took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.adversarial.perturbing import Perturbation, accuracy
from evaluation.adversarial.training import AdversarialTraining, train_against
from evaluation.federation.plain import averaged
from evaluation.federation.plan import Plan
from evaluation.smart_home.task import Task


@dataclass(frozen=True)
class Robustness:
    """What came of a federation.

    Attributes:
        trained_against: radius that devices trained against; 0 for none.
        accuracy: by the radius that test sentences were perturbed by; of 0 it is the plain accuracy.
        processor_seconds: of this process, for all devices' training.
    """

    trained_against: float
    accuracy: Mapping[float, float]
    processor_seconds: float


def federated(
    task: Task, plan: Plan, against: Perturbation, tested: Sequence[Perturbation], devices: int
) -> Robustness:
    """Train the first ``devices`` of a task, all of them honest, and judge the model on held-out templates."""
    model, state = task.model(), task.model().trainable_state()
    began = time.process_time()
    for turn in range(1, plan.rounds + 1):
        how = AdversarialTraining.of(plan.local, against).slower(plan.decay ** (turn - 1))
        sent = []
        for device in range(devices):
            model.load_trainable(state)
            seed = (task.seed * 1_000_003 + turn * 10_007 + device) % 2**31
            sent.append(train_against(model, task.shards[device], how, seed))
        state = averaged(state, sent, [len(task.shards[device]) for device in range(devices)], plan.server_rate)
    seconds = time.process_time() - began
    model.load_trainable(state)
    found = {one.radius: round(accuracy(model, task.split.test, one), 4) for one in tested}
    return Robustness(against.radius, found, round(seconds, 2))
