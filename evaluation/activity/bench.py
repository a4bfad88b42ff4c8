"""One watch's round, the server's own reference, and what a global network is worth."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from evaluation.activity.poison import poisoned
from evaluation.activity.recordings import EXERCISES
from evaluation.activity.task import TARGET, Activity
from evaluation.activity.training import LocalTraining, Schedule, predicted, train_locally
from evaluation.activity.windows import Window, labels_of
from evaluation.comparison.attacks.registry import Data
from evaluation.comparison.clients import worst_by_group, worst_by_mix
from evaluation.comparison.interfaces import State, Worth
from evaluation.federation.devices import ROOT
from evaluation.federation.memory import Memory
from evaluation.smart_home.training import Update


class ActivityBench:
    """A network of this process, on which devices and server take turns.

    Args:
        task: what is learnt, by whom.
        schedule: how.
        data: what each hostile device trains on, by device.
        memory: of what was trained before in federations of this task and schedule.
    """

    def __init__(self, task: Activity, schedule: Schedule, data: Mapping[int, Data], memory: Memory) -> None:
        self._task = task
        self._schedule = schedule
        self._memory = memory
        self._network = task.network()
        self._poisoned = {
            device: poisoned(task.shards[device], kind, classes=len(EXERCISES), target=TARGET, seed=task.seed + device)
            for device, kind in data.items()
        }

    def initial(self) -> dict[str, Tensor]:
        """The state before the first round."""
        return self._task.network().trainable_state()

    def trained(self, state: State, device: int, turn: int, *, attacked: bool) -> Update:
        """What a device's training yields in round ``turn``, before a hostile one makes something else of it."""
        shard = self._task.shards[device]
        return self._train(
            state, self._poisoned.get(device, shard) if attacked else shard, self._schedule.local, device, turn
        )

    def reference(self, state: State, turn: int) -> Update:
        """The update that the server's own few trusted windows yield."""
        return self._train(state, self._task.split.root, self._schedule.root, ROOT, turn)

    def worth(self, state: State) -> Worth:
        """Judge a global state on the held-out recordings, plain and knocked."""
        task = self._task
        self._network.load_trainable(state)
        labels = labels_of(task.split.test)
        is_right = predicted(self._network, task.signals, task.split.test) == labels
        called = predicted(self._network, task.signals, task.knocked_test) == TARGET
        if task.skew is None:
            worst = worst_by_group(is_right, [task.split.watches[window.recording] for window in task.split.test])
        else:
            worst = worst_by_mix(is_right, labels.tolist(), [[w.label for w in shard] for shard in task.shards])
        return Worth(float(is_right.double().mean()), float(called.double().mean()), worst)

    def _train(self, state: State, shard: Sequence[Window], how: LocalTraining, who: int, turn: int) -> Update:
        def train() -> Update:
            self._network.load_trainable(state)
            seed = (self._task.seed * 1_000_003 + turn * 10_007 + who) % 2**31
            return train_locally(self._network, self._task.signals, shard, self._schedule.in_round(how, turn), seed)

        return self._memory.recall(state, shard, who, turn, train)
