from dataclasses import replace

import pytest
import torch

from evaluation.federation.devices import Bench, Worth
from evaluation.federation.plain import averaged, federate
from evaluation.federation.plan import QUICK
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining

pytestmark = pytest.mark.minutes


def test_the_mean_is_weighted_and_moved_by_the_servers_rate() -> None:
    state = {"weight": torch.tensor([1.0])}
    updates = [{"weight": torch.tensor([1.0])}, {"weight": torch.tensor([-1.0])}]
    assert averaged(state, updates, [3, 1], 2.0)["weight"].item() == pytest.approx(2.0)


def test_attacks_do_harm_that_a_clean_federation_does_not_show(task: Task) -> None:
    plan = replace(QUICK, rounds=2, local=LocalTraining(rate=2.0, adapter_rate=0.2, examples=64))
    told: list[tuple[int, Worth]] = []
    clean = federate(task, plan, attacked=False, on_round=lambda turn, worth: told.append((turn, worth)))
    hurt = federate(task, plan, attacked=True)
    assert told == list(enumerate(clean, 1))
    assert clean[-1].attack_success < 0.05
    assert hurt[-1].attack_success > 0.9
    assert hurt[-1].accuracy < clean[-1].accuracy - 0.1


def test_a_hostile_device_says_what_an_honest_one_would_of_its_examples(task: Task) -> None:
    bench = Bench(task, QUICK)
    device = next(iter(task.attacks))
    state = bench.initial()
    honest, examples = bench.update(state, device, 1, attacked=False)
    hostile, claimed = bench.update(state, device, 1, attacked=True)
    assert examples == claimed == len(task.shards[device])
    assert any(not torch.equal(honest[name], hostile[name]) for name in honest)
