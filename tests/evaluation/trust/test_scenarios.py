import pytest
import torch

from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.task import Task
from evaluation.trust.scenarios import SCENARIOS, SKEWS, TUNED, Scenario
from tests.evaluation.smart_home.attacks.samples import updates


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_hostile_device_of_the_task_attacks_and_sends_something_else_than_it_trained(
    scenario: Scenario, task: Task
) -> None:
    attacks = scenario.attacks(task, 0.5)
    assert attacks.keys() == task.attacks.keys()
    honest, history = updates(6), [dict(enumerate(updates(task.devices, 7)))]
    for device, attack in attacks.items():
        shard = task.shards[device]
        known = Knowledge(device, 2, honest, dict.fromkeys(attacks, honest[0]), history)
        sent = attack.distort(honest[0], known)
        is_changed = any(not torch.equal(sent[name], honest[0][name]) for name in sent)
        assert is_changed or list(attack.poison(shard)) != list(shard)


def test_names_are_of_one_scenario_each_and_sleepers_wake_up_late() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert {scenario.onset for scenario in SCENARIOS if scenario.name.startswith("sleeping")} == {6}
    assert all(scenario.named for scenario in SCENARIOS)


def test_a_tuned_attack_has_one_of_its_steps_for_every_skew_and_takes_the_nearest_for_others() -> None:
    for tuned in TUNED.values():
        assert tuned.chosen.keys() == set(SKEWS)
        assert set(tuned.chosen.values()) <= set(tuned.steps)
        assert list(tuned.steps) == sorted(tuned.steps)
        assert tuned.at(0.05) == tuned.at(0.1) == tuned.attack(tuned.chosen[0.1])


def test_half_of_those_who_replay_send_what_others_sent(task: Task) -> None:
    (replay,) = (scenario for scenario in SCENARIOS if scenario.name == "replay")
    assert sorted(vars(attack)["of_others"] for attack in replay.attacks(task, 0.5).values()) == [0, 0, 1, 1]
