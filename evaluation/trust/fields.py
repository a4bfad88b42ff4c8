"""A field: the task of one skew and seed, on which all scenarios are tried one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from evaluation.federation.cohort import Cohort
from evaluation.federation.devices import Bench
from evaluation.federation.memory import Memory
from evaluation.federation.plan import Plan
from evaluation.smart_home.attacks import Attack, Backdoor
from evaluation.smart_home.task import Task, load_task
from evaluation.trust.scenarios import BY_NAME, CLEAN


@dataclass(frozen=True)
class Field:
    """A task, how it is trained, and what was trained of it before.

    Attributes:
        task: with the hostile devices that it has, whatever they do.
        plan: how long and how hard.
        skew: that the task was made with.
        memory: shared by all federations of this task.
    """

    task: Task
    plan: Plan
    skew: float
    memory: Memory

    @classmethod
    def prepared(cls, skew: float, seed: int, plan: Plan, cache: Path) -> Self:
        """Build the task of a skew and seed; the frozen encoder's output is kept in ``cache``."""
        task = load_task(seed, cache, alpha=skew)
        # What any scenario trains on that is in no shard: triggered sentences.
        backdoors = {device: Backdoor(task.target, 1.0, seed=seed + device) for device in task.attacks}
        return cls(task.under(backdoors), plan, skew, Memory())

    def benched(self, scenario: str) -> tuple[Bench, Cohort]:
        """Where devices train in a scenario, and they themselves; without any attack in the one called ``none``."""
        if scenario == CLEAN:
            return self.under({})
        chosen = BY_NAME[scenario]
        return self.under(chosen.attacks(self.task, self.skew), chosen.onset)

    def under(self, attacks: Mapping[int, Attack], onset: int = 1) -> tuple[Bench, Cohort]:
        """Where devices train, and they themselves, of whom some attack from a round on."""
        bench = Bench(replace(self.task, attacks=attacks), self.plan, self.memory)
        return bench, Cohort(bench, attacks, onset)
