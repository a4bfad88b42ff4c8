"""The smart-home task as the comparison trains it: one seed and skew, under any attack."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from evaluation.comparison.attacks.registry import Scheme
from evaluation.comparison.attacks.setting import Setting
from evaluation.comparison.clients import worst_by_mix
from evaluation.comparison.fleet import Fleet, Form, hostile_devices
from evaluation.comparison.interfaces import State, Worth
from evaluation.federation.devices import Bench
from evaluation.federation.memory import Memory
from evaluation.federation.plan import Plan
from evaluation.smart_home.attacks import Attack, Backdoor
from evaluation.smart_home.model import TunedModel
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import Update


class HomeGround:
    """A task and how it is trained; its federations remember what earlier ones trained.

    Args:
        task: what is learnt, by whom; its own hostile devices count for nothing.
        plan: how long and how hard.
        skew: that the task was made with.
    """

    def __init__(self, task: Task, plan: Plan, skew: float) -> None:
        self.task = task
        self._plan = plan
        self._skew = skew
        self._form = Form("smart_home", tuple(map(len, task.shards)), plan.rounds, plan.server_rate)
        self._memory = Memory()
        self._judged = task.model()

    def setting(self, share: float) -> Setting:
        """The federation as its attackers know it, where ``share`` of its devices are hostile.

        Raises:
            ValueError: no such share.
        """
        task = self.task
        hostile = hostile_devices(task.seed, task.devices, share)
        return Setting(hostile, task.intents, task.target, self._skew, task.seed)

    def under(self, scheme: Scheme, share: float) -> Fleet:
        """The federation in which ``share`` of the devices behave as ``scheme`` says.

        Raises:
            ValueError: no such share.
        """
        setting = self.setting(share)
        attacks = scheme.made(setting)
        if scheme.data == "triggered":
            self._know_triggers(setting)
        bench = Bench(replace(self.task, attacks=attacks), self._plan, self._memory)
        return Fleet(self._form, _HomeBench(bench, self.task, self._judged), scheme, setting)

    def _know_triggers(self, setting: Setting) -> None:
        # The frozen layers read what any backdoor trains on once, and a later process finds it in the task's cache.
        triggers: dict[int, Attack] = {
            device: Backdoor(setting.target, 1.0, seed=setting.seed + device) for device in setting.hostile
        }
        self.task.under(triggers)


class _HomeBench:
    """The demo's bench, and the judgement that the comparison wants.

    Args:
        bench: on which devices train.
        task: what they are judged on.
        model: that judges; of this process.
    """

    def __init__(self, bench: Bench, task: Task, model: TunedModel) -> None:
        self._bench = bench
        self._task = task
        self._model = model

    def initial(self) -> dict[str, Tensor]:
        return self._bench.initial()

    def trained(self, state: Mapping[str, Tensor], device: int, turn: int, *, attacked: bool) -> Update:
        return self._bench.trained(state, device, turn, attacked=attacked)

    def reference(self, state: State, turn: int) -> Update:
        return self._bench.reference(state, turn)

    def worth(self, state: State) -> Worth:
        test, task = self._task.split.test, self._task
        self._model.load_trainable(state)
        labels = [sentence.label for sentence in test]
        is_right = torch.tensor(self._model.predict([sentence.text for sentence in test])) == torch.tensor(labels)
        worst = worst_by_mix(is_right, labels, [[sentence.label for sentence in shard] for shard in task.shards])
        called = self._model.predict([sentence.text for sentence in task.triggered_test]).count(task.target)
        return Worth(float(is_right.double().mean()), called / len(task.triggered_test), worst)
