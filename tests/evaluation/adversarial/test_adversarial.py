"""Perturbations stay within their norm and do harm; training without them is the training of everybody."""

import pytest
import torch

from evaluation.adversarial.__main__ import RADII, rows
from evaluation.adversarial.federating import Robustness, federated
from evaluation.adversarial.perturbing import Perturbation, accuracy, perturbed
from evaluation.adversarial.training import AdversarialTraining, train_against
from evaluation.federation.plan import QUICK, Plan
from evaluation.smart_home.model import TunedModel
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining, train_locally

HOW = LocalTraining(rate=1.5, adapter_rate=0.3, batch=16, examples=64, epochs=2)
PLAN = Plan(rounds=2, local=HOW, root=QUICK.root, decay=0.9, server_rate=1.0)


@pytest.fixture(scope="module")
def model(task: Task) -> TunedModel:
    found = task.model()
    train_locally(found, task.split.root, LocalTraining(epochs=4), 0)
    return found


@pytest.mark.parametrize("how", [Perturbation(0.3), Perturbation(0.3, 5)])
def test_a_perturbation_stays_within_its_radius_and_makes_worse(
    task: Task, model: TunedModel, how: Perturbation
) -> None:
    batch = task.split.root[:32]
    labels = torch.tensor([sentence.label for sentence in batch])
    vectors = model.embed([sentence.text for sentence in batch]).detach()
    moved = perturbed(model, vectors, labels, how)
    assert float((moved - vectors).norm(dim=1).max()) <= how.radius + 1e-5
    assert accuracy(model, task.split.root, how) < accuracy(model, task.split.root, Perturbation(0.0))


def test_training_against_nothing_is_plain_training(task: Task) -> None:
    shard = task.shards[0]
    ours = train_against(task.model(), shard, AdversarialTraining.of(HOW, Perturbation(0.0)), 7)
    plain = train_locally(task.model(), shard, HOW, 7)
    assert all(torch.allclose(ours[name], plain[name], atol=1e-6) for name in plain)
    hardened = train_against(task.model(), shard, AdversarialTraining.of(HOW, Perturbation(0.3)), 7)
    assert not all(torch.allclose(hardened[name], plain[name], atol=1e-6) for name in plain)


def test_a_federation_is_judged_plain_and_perturbed_with_its_time(task: Task) -> None:
    tested = [Perturbation(0.0), Perturbation(0.3, 3)]
    found = federated(task, PLAN, Perturbation(0.3), tested, devices=2)
    assert found.processor_seconds > 0.0
    assert 0.0 <= found.accuracy[0.3] < found.accuracy[0.0] <= 1.0


def test_a_line_is_the_mean_over_seeds_beside_plain_training_of_the_same_seed() -> None:
    def of(radius: float, right: float, seconds: float) -> Robustness:
        return Robustness(radius, dict.fromkeys(RADII, right), seconds)

    first = [of(0.0, 0.9, 10.0), of(0.15, 0.8, 20.0), of(0.3, 0.7, 30.0)]
    second = [of(0.0, 0.9, 20.0), of(0.15, 0.8, 40.0), of(0.3, 0.7, 60.0)]
    heads, plain, _, hard = rows([first, second])
    assert heads[:2] == ("trained against", "accuracy")
    assert plain == ("nothing", *["0.900 ± 0.000"] * 3, "15.0 ± 63.5", "1.00 ± 0.00")
    assert (hard[0], hard[-1]) == ("a radius of 0.3", "3.00 ± 0.00")
    alone = rows([first])[3]
    assert alone == ("a radius of 0.3", "0.700", "0.700", "0.700", "30.0", "3.00")
