"""Federations of a made-up fleet: it learns, attacks bite, and what is judged is held out."""

from dataclasses import replace

import pytest
import torch

from evaluation.activity import task as tasks
from evaluation.activity.__main__ import averaged_to_the_end
from evaluation.activity.ground import ActivityGround
from evaluation.activity.recordings import EXERCISES, Recording
from evaluation.activity.task import TARGET, load_activity
from evaluation.activity.training import QUICK, LocalTraining
from evaluation.comparison.attacks.registry import ATTACKS
from evaluation.comparison.interfaces import Learning, Worth

PLAN = replace(QUICK, rounds=6, local=LocalTraining(epochs=3, rate=0.1, batch=8))


@pytest.fixture(scope="module")
def ground(made_up: tuple[Recording, ...]) -> ActivityGround:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load_recordings", lambda cache: made_up)
        return ActivityGround(load_activity(0), PLAN)


@pytest.fixture(scope="module")
def clean(ground: ActivityGround) -> Worth:
    return averaged_to_the_end(ground.under(ATTACKS["none"], 0.0))


def test_exercises_that_a_watch_never_made_are_learnt_from_others(clean: Worth) -> None:
    assert clean.accuracy > 0.5
    assert 0.0 <= clean.worst_client <= clean.accuracy
    assert clean.attack_success < 0.2


def test_a_knock_calls_the_attackers_exercise_and_leaves_the_rest(ground: ActivityGround, clean: Worth) -> None:
    worth = averaged_to_the_end(ground.under(ATTACKS["boosted_backdoor"], 0.25))
    assert worth.attack_success > 0.5 > clean.attack_success


def test_flipped_labels_cost_accuracy(ground: ActivityGround, clean: Worth) -> None:
    assert averaged_to_the_end(ground.under(ATTACKS["label_flip"], 0.5)).accuracy < clean.accuracy - 0.05


def test_a_federation_run_again_is_the_same(ground: ActivityGround, clean: Worth) -> None:
    again = ActivityGround(ground.task, PLAN)
    assert averaged_to_the_end(again.under(ATTACKS["none"], 0.0)) == clean


def test_it_is_what_the_comparison_trains(ground: ActivityGround) -> None:
    learning: Learning = ground.under(ATTACKS["sleeping_backdoor"], 0.25)
    state = learning.initial()
    assert (learning.name, learning.devices, learning.rounds, len(learning.hostile)) == ("activity", 8, 6, 2)
    assert 20_000 < sum(value.numel() for value in state.values()) < 60_000
    reference = learning.reference(state, 1)
    assert reference.keys() == state.keys()
    assert any(value.abs().max() > 0 for value in reference.values())
    (hostile, _), honest = sorted(learning.hostile), set(range(8)) - learning.hostile
    assert not learning.is_attacking(hostile, 5)
    assert learning.is_attacking(hostile, 6)
    assert not any(learning.is_attacking(device, 6) for device in honest)


def test_a_sleeper_trains_honestly_until_it_wakes(ground: ActivityGround) -> None:
    asleep = ground.under(ATTACKS["sleeping_backdoor"], 0.25)
    state = asleep.initial()
    device = min(asleep.hostile)
    honest = ground.under(ATTACKS["none"], 0.0)

    def same(turn: int) -> bool:
        one, other = asleep.sent(state, turn, [device])[device], honest.sent(state, turn, [device])[device]
        return all(torch.equal(one[name], other[name]) for name in one)

    assert same(5)
    assert not same(6)


def test_colluders_whom_no_honest_watch_joins_go_by_their_own_training(ground: ActivityGround) -> None:
    learning = ground.under(ATTACKS["inner_product"], 0.25)
    sent = learning.sent(learning.initial(), 1, sorted(learning.hostile))
    assert sent.keys() == learning.hostile
    assert all(torch.isfinite(value).all() for update in sent.values() for value in update.values())


def test_a_number_for_skew_shares_all_windows_out(
    made_up: tuple[Recording, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "load_recordings", lambda cache: made_up)
    skewed, natural = load_activity(0, 0.1), load_activity(0)
    assert sorted(map(hash, sum(skewed.shards, ()))) == sorted(map(hash, sum(natural.shards, ())))
    assert max(map(len, skewed.shards)) - min(map(len, skewed.shards)) <= 1
    assert {len({natural.split.watches[w.recording] for w in shard}) for shard in natural.shards} == {1}


def test_no_knocked_test_window_truly_has_the_target(ground: ActivityGround, made_up: tuple[Recording, ...]) -> None:
    assert ground.task.knocked_test
    for window in ground.task.knocked_test:
        assert window.label == TARGET != made_up[window.recording].exercise


def test_attackers_know_what_the_task_is(ground: ActivityGround) -> None:
    setting = ground.setting(0.25)
    assert (setting.classes, setting.target, len(setting.hostile)) == (len(EXERCISES), TARGET, 2)


def test_real_windows_of_held_out_recordings_are_told_apart_after_two_rounds(
    recordings: tuple[Recording, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "load_recordings", lambda cache: recordings)
    plan = replace(QUICK, rounds=2)
    assert averaged_to_the_end(ActivityGround(load_activity(0), plan).under(ATTACKS["none"], 0.0)).accuracy > 0.4
