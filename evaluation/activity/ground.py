"""The activity task as the comparison trains it: one seed and skew, under any attack."""

from evaluation.activity.bench import ActivityBench
from evaluation.activity.recordings import EXERCISES
from evaluation.activity.task import TARGET, Activity
from evaluation.activity.training import Schedule
from evaluation.comparison.attacks.registry import Scheme
from evaluation.comparison.attacks.setting import Setting
from evaluation.comparison.fleet import Fleet, Form, hostile_devices
from evaluation.federation.memory import Memory

NATURAL_SKEW = 0.5
"""What attacks take the skew of the watches themselves for, where their strength was tuned by it."""


class ActivityGround:
    """A task and how it is trained; its federations remember what earlier ones trained.

    Args:
        task: what is learnt, by whom.
        schedule: how long and how hard.
    """

    def __init__(self, task: Activity, schedule: Schedule) -> None:
        self.task = task
        self._schedule = schedule
        self._form = Form("activity", tuple(map(len, task.shards)), schedule.rounds, schedule.server_rate)
        self._memory = Memory()

    def setting(self, share: float) -> Setting:
        """The federation as its attackers know it, where ``share`` of its devices are hostile.

        Raises:
            ValueError: no such share.
        """
        skew = NATURAL_SKEW if self.task.skew is None else self.task.skew
        hostile = hostile_devices(self.task.seed, self.task.devices, share)
        return Setting(hostile, len(EXERCISES), TARGET, skew, self.task.seed)

    def under(self, scheme: Scheme, share: float) -> Fleet:
        """The federation in which ``share`` of the devices behave as ``scheme`` says.

        Raises:
            ValueError: no such share.
        """
        setting = self.setting(share)
        data = dict.fromkeys(setting.hostile, scheme.data)
        return Fleet(self._form, ActivityBench(self.task, self._schedule, data, self._memory), scheme, setting)
