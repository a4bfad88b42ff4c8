"""The demo's task as the comparison trains it."""

from dataclasses import replace

import torch

from evaluation.comparison.attacks.registry import ATTACKS
from evaluation.comparison.interfaces import Learning
from evaluation.federation.devices import Bench
from evaluation.federation.plan import QUICK
from evaluation.smart_home.ground import HomeGround
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining

PLAN = replace(QUICK, rounds=1, local=LocalTraining(examples=8), root=LocalTraining(examples=8))


def test_honest_homes_send_and_are_worth_what_the_demos_are(task: Task) -> None:
    learning: Learning = HomeGround(task, PLAN, 0.5).under(ATTACKS["none"], 0.0)
    bench = Bench(replace(task, attacks={}), PLAN)
    state = learning.initial()
    sent, expected = learning.sent(state, 1, [0])[0], bench.trained(state, 0, 1, attacked=False)
    assert all(torch.equal(sent[name], expected[name]) for name in expected)
    moved = {name: value + 4 * sent[name] for name, value in state.items()}
    worth, known = learning.worth(moved), bench.worth(moved)
    assert (worth.accuracy, worth.attack_success) == (known.accuracy, known.attack_success)
    assert 0.0 <= worth.worst_client < worth.accuracy


def test_hostile_homes_do_what_the_attack_says(task: Task) -> None:
    ground = HomeGround(task, PLAN, 0.5)
    flipped, honest = ground.under(ATTACKS["label_flip"], 0.2), ground.under(ATTACKS["none"], 0.0)
    state, device = flipped.initial(), min(flipped.hostile)
    bystander = next(other for other in range(task.devices) if other not in flipped.hostile)
    attacked, clean = flipped.sent(state, 1, [device, bystander]), honest.sent(state, 1, [device, bystander])
    assert flipped.hostile == set(task.attacks)
    assert any(not torch.equal(attacked[device][name], clean[device][name]) for name in state)
    assert all(torch.equal(attacked[bystander][name], clean[bystander][name]) for name in state)
