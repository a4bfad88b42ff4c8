import torch

from evaluation.federation.memory import Memory
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update

SHARD = [Sentence("turn on the lamp", 0, 0)]
STATE = {"weight": torch.tensor([1.0, 2.0]), "bias": torch.tensor([0.0])}


class Training:
    """Counts how often somebody trained."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Update:
        self.times += 1
        return {"weight": torch.tensor([float(self.times)])}


def test_what_was_trained_from_the_same_is_not_trained_again() -> None:
    memory, training = Memory(), Training()
    first = memory.recall(STATE, SHARD, 3, 1, training)
    same = {name: value.clone() for name, value in reversed(STATE.items())}
    assert memory.recall(same, list(SHARD), 3, 1, training) is first
    assert training.times == 1


def test_another_state_shard_device_or_round_is_trained_anew() -> None:
    memory, training = Memory(), Training()
    moved = {**STATE, "bias": torch.tensor([1e-7])}
    relabelled = [Sentence("turn on the lamp", 1, 0)]
    for state, shard, who, turn in (
        (STATE, SHARD, 3, 1),
        (moved, SHARD, 3, 1),
        (STATE, relabelled, 3, 1),
        (STATE, SHARD, 4, 1),
        (STATE, SHARD, 3, 2),
    ):
        memory.recall(state, shard, who, turn, training)
    assert training.times == 5


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    memory, training = Memory(most=2), Training()
    for turn in (1, 2, 1, 3, 1, 2):
        memory.recall(STATE, SHARD, 0, turn, training)
    assert training.times == 4
