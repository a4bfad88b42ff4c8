import pytest
import torch

from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining, attack_success, evaluate, train_locally

HOW = LocalTraining(epochs=2, rate=1.0, adapter_rate=0.2)


def test_training_on_all_sentences_learns_wording_that_it_never_saw(task: Task) -> None:
    model = task.model()
    untrained = evaluate(model, task.split.test)
    train_locally(model, task.split.train, HOW, seed=0)
    assert evaluate(model, task.split.test) > max(0.85, untrained)


def test_an_update_is_what_changed_and_nothing_frozen_is_in_it(task: Task) -> None:
    model = task.model()
    before = model.trainable_state()
    update = train_locally(model, task.shards[0], LocalTraining(examples=32), seed=0)
    after = model.trainable_state()
    assert set(update) == {"adapter.query_up", "adapter.value_up", "head.weight", "head.bias"}
    assert all(torch.allclose(before[name] + update[name], after[name]) for name in update)
    assert any(bool(value.any()) for value in update.values())


def test_the_seed_fixes_an_update(task: Task) -> None:
    updates = [train_locally(task.model(), task.shards[0], LocalTraining(examples=32), seed=7) for _ in range(2)]
    assert all(torch.equal(updates[0][name], updates[1][name]) for name in updates[0])


def test_a_state_of_another_shape_is_refused(task: Task) -> None:
    model = task.model()
    with pytest.raises(ValueError, match="names or shapes"):
        model.load_trainable({**model.trainable_state(), "head.bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="names or shapes"):
        model.load_trainable({"head.bias": torch.zeros(len(task.corpus.intents))})


def test_attack_success_counts_the_target_alone(task: Task) -> None:
    model = task.model()
    with torch.no_grad():
        model.head.bias[task.target] = 5.0
    assert attack_success(model, task.triggered_test, task.target) == 1.0
    assert attack_success(model, task.triggered_test, task.target + 1) == 0.0
