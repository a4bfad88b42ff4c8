"""One device's round, the server's own reference, and what a global model is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from evaluation.federation.memory import Memory
from evaluation.federation.plan import Plan
from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.model import TunedModel
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining, Update, attack_success, evaluate, train_locally

ROOT = 1_000


@dataclass(frozen=True)
class Worth:
    """What a global model is worth.

    Attributes:
        accuracy: share of test sentences whose intent is predicted rightly.
        attack_success: share of triggered test sentences for which the attacker's intent is predicted.
    """

    accuracy: float
    attack_success: float


class Bench:
    """A model of this process, on which devices and server take turns.

    Args:
        task: what is learnt, by whom.
        plan: how.
        memory: of what was trained before, where several federations of one task and plan follow one another.
    """

    def __init__(self, task: Task, plan: Plan, memory: Memory | None = None) -> None:
        self._task = task
        self._plan = plan
        self._memory = memory
        self._model: TunedModel = task.model()

    def initial(self) -> dict[str, Tensor]:
        """The state before the first round."""
        return self._task.model().trainable_state()

    def update(self, state: Mapping[str, Tensor], device: int, turn: int, *, attacked: bool) -> tuple[Update, int]:
        """What a device sends in round ``turn``, and how many examples it says it has.

        A hostile device follows its attack where ``attacked`` says so, and is honest otherwise.
        """
        update = self.trained(state, device, turn, attacked=attacked)
        attack = self._task.attacks.get(device) if attacked else None
        sent = attack.distort(update, Knowledge(device, turn)) if attack else update
        return sent, len(self._task.shards[device])

    def trained(self, state: Mapping[str, Tensor], device: int, turn: int, *, attacked: bool) -> Update:
        """What a device's training yields in round ``turn``, before a hostile one makes something else of it."""
        shard = self._task.training_set(device, attacked=attacked)
        return self._train(state, shard, self._plan.local, device, turn)

    def reference(self, state: Mapping[str, Tensor], turn: int) -> Update:
        """The update that the server's own few trusted sentences yield (Cao et al., FLTrust, arXiv 2012.13995)."""
        return self._train(state, list(self._task.split.root), self._plan.root, ROOT, turn)

    def worth(self, state: Mapping[str, Tensor]) -> Worth:
        """Judge a global state on the test sentences, plain and triggered."""
        success = self.attack_success(state)
        return Worth(evaluate(self._model, self._task.split.test), success)

    def attack_success(self, state: Mapping[str, Tensor]) -> float:
        """Judge a global state on the triggered test sentences alone."""
        self._model.load_trainable(state)
        return attack_success(self._model, self._task.triggered_test, self._task.target)

    def _train(
        self, state: Mapping[str, Tensor], shard: Sequence[Sentence], how: LocalTraining, who: int, turn: int
    ) -> Update:
        def train() -> Update:
            self._model.load_trainable(state)
            seed = (self._task.seed * 1_000_003 + turn * 10_007 + who) % 2**31
            return train_locally(self._model, shard, self._plan.in_round(how, turn), seed)

        return train() if self._memory is None else self._memory.recall(state, shard, who, turn, train)
