from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch

from evaluation.federation.cohort import Cohort
from evaluation.federation.devices import Bench
from evaluation.federation.memory import Memory
from evaluation.federation.plan import QUICK, Plan
from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining, Update

SMALL = replace(QUICK, local=LocalTraining(examples=8))
HOSTILE = (1, 3)
DEVICES = range(5)


@dataclass(frozen=True)
class Watching:
    """Sends nothing but zeros, and remembers what it was told."""

    told: list[Knowledge] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "watching"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        return shard

    def distort(self, update: Update, known: Knowledge) -> Update:
        self.told.append(known)
        return {name: torch.zeros_like(value) for name, value in update.items()}


@pytest.fixture
def watching() -> Watching:
    return Watching()


def cohort(task: Task, attack: Watching, plan: Plan = SMALL, onset: int = 1) -> tuple[Bench, Cohort]:
    attacks = dict.fromkeys(HOSTILE, attack)
    bench = Bench(replace(task, attacks=attacks), plan, Memory())
    return bench, Cohort(bench, attacks, onset)


def test_hostile_devices_see_what_honest_ones_send_and_what_their_allies_trained(
    task: Task, watching: Watching
) -> None:
    bench, devices = cohort(task, watching)
    state = bench.initial()
    sent = devices.updates(state, 1, DEVICES)
    assert [known.device for known in watching.told] == list(HOSTILE)
    for known in watching.told:
        assert [id(update) for update in known.honest] == [id(sent[device]) for device in (0, 2, 4)]
        assert known.allies.keys() == set(HOSTILE)
        assert all(bool(update["head.weight"].any()) for update in known.allies.values())
    assert not sent[1]["head.weight"].any()


def test_earlier_rounds_are_known_as_they_were_sent(task: Task, watching: Watching) -> None:
    bench, devices = cohort(task, watching)
    state = bench.initial()
    first = devices.updates(state, 1, DEVICES)
    devices.updates(state, 2, (0, 1, 2))
    assert watching.told[-1].turn == 2
    assert list(watching.told[-1].history) == [first]


def test_before_the_onset_everybody_is_honest(task: Task, watching: Watching) -> None:
    bench, devices = cohort(task, watching, onset=2)
    state = bench.initial()
    sent = devices.updates(state, 1, DEVICES)
    assert watching.told == []
    assert all(bool(sent[device]["head.weight"].any()) for device in DEVICES)
    assert not devices.is_attacking(1, 1)
    assert devices.is_attacking(1, 2)
    assert not devices.is_attacking(0, 2)


def test_who_does_not_take_part_sends_nothing(task: Task, watching: Watching) -> None:
    bench, devices = cohort(task, watching)
    assert devices.updates(bench.initial(), 1, (0, 4)).keys() == {0, 4}
    assert watching.told == []


def test_a_bench_with_a_memory_trains_as_one_without(task: Task) -> None:
    plain, remembering = Bench(task, SMALL), Bench(task, SMALL, Memory())
    state = plain.initial()
    for _ in range(2):
        first = plain.trained(state, 0, 1, attacked=False)
        second = remembering.trained(state, 0, 1, attacked=False)
        assert all(torch.equal(first[name], second[name]) for name in first)
