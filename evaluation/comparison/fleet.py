"""A task's bench and its hostile devices, as one federation of the comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from torch import Tensor

from evaluation.comparison.attacks.registry import Scheme
from evaluation.comparison.attacks.setting import Setting
from evaluation.comparison.interfaces import State, Worth
from evaluation.federation.cohort import Cohort, Trains
from evaluation.smart_home.attacks import Attack


class Bench(Trains, Protocol):
    """Where the devices of a task train, and where their model is judged."""

    def initial(self) -> dict[str, Tensor]:
        """The state before the first round."""
        ...

    def reference(self, state: State, turn: int) -> dict[str, Tensor]:
        """What the server's own trusted examples yield."""
        ...

    def worth(self, state: State) -> Worth:
        """Judge a state on held-out examples."""
        ...


class Ground(Protocol):
    """A task of one seed and skew, on which all attacks are tried; its federations share what honest devices train."""

    def setting(self, share: float) -> Setting:
        """The federation as its attackers know it, where ``share`` of its devices are hostile."""
        ...

    def under(self, scheme: Scheme, share: float) -> "Fleet":
        """The federation in which ``share`` of the devices behave as ``scheme`` says."""
        ...


@dataclass(frozen=True)
class Form:
    """What of a federation does not change.

    Attributes:
        name: of the task.
        examples: how many each device has.
        rounds: of the schedule.
        server_rate: factor on a defence's step.
    """

    name: str
    examples: Sequence[int]
    rounds: int
    server_rate: float


class Fleet:
    """One federation under one attack; an `evaluation.comparison.interfaces.Learning`.

    Rounds are asked for one after another, from the first; a fleet is for one federation.

    Args:
        form: what does not change.
        bench: on which devices train; it makes hostile ones' data of ``scheme`` itself.
        scheme: what hostile devices do.
        setting: who they are.
    """

    def __init__(self, form: Form, bench: Bench, scheme: Scheme, setting: Setting) -> None:
        self._form = form
        self._bench = bench
        attacks = scheme.made(setting)
        self._cohort = _Paced(bench, attacks, scheme)
        self.setting = setting
        self.hostile = frozenset(attacks)

    @property
    def name(self) -> str:
        """The task's."""
        return self._form.name

    @property
    def devices(self) -> int:
        """How many devices there are, hostile ones among them."""
        return len(self._form.examples)

    @property
    def rounds(self) -> int:
        """How many rounds the schedule has."""
        return self._form.rounds

    @property
    def server_rate(self) -> float:
        """Factor on a defence's step."""
        return self._form.server_rate

    def examples(self, device: int) -> int:
        """How many examples a device has."""
        return self._form.examples[device]

    def initial(self) -> dict[str, Tensor]:
        """The state before the first round."""
        return self._bench.initial()

    def sent(self, state: State, turn: int, devices: Sequence[int]) -> dict[int, dict[str, Tensor]]:
        """What each of these devices sends in a round, hostile ones after they saw the others' updates."""
        return self._cohort.updates(state, turn, devices)

    def is_attacking(self, device: int, turn: int) -> bool:
        """Whether a device behaves as its attack says in this round."""
        return self._cohort.is_attacking(device, turn)

    def reference(self, state: State, turn: int) -> dict[str, Tensor]:
        """What the server's own trusted examples yield."""
        return self._bench.reference(state, turn)

    def worth(self, state: State) -> Worth:
        """Judge a state on held-out examples."""
        return self._bench.worth(state)


class _Paced(Cohort):
    """A cohort whose hostile devices attack in the rounds of their scheme's rhythm."""

    def __init__(self, bench: Trains, attacks: Mapping[int, Attack], scheme: Scheme) -> None:
        super().__init__(bench, attacks)
        self._scheme = scheme

    def is_attacking(self, device: int, turn: int) -> bool:
        return device in self._attacks and self._scheme.acts(turn)


def hostile_devices(seed: int, devices: int, share: float) -> tuple[int, ...]:
    """Who attacks, ascending; a larger share takes in a smaller one's.

    Args:
        seed: fixes who; of the smart-home task, a fifth are those of the demo.
        devices: how many there are.
        share: of them that attack, in [0, 1].

    Raises:
        ValueError: no such share.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{share} of devices cannot be hostile: give a share between 0 and 1")
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    return tuple(sorted(random.sample(range(devices), devices)[: round(share * devices)]))
