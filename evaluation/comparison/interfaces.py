"""What tasks, attacks and defences are to the comparison: each is written once, and meets all of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

Update = Mapping[str, Tensor]
"""What changed of a model's trainable tensors, by name: trained minus received, float32."""

State = Mapping[str, Tensor]
"""A model's trainable tensors, by name, float32."""


@dataclass(frozen=True)
class Received:
    """What an aggregator has of one round.

    Attributes:
        turn: the round, from 1.
        state: what devices were sent.
        updates: by device.
        examples: that each device says it trained on.
        reference: what the server's own trusted examples yield from the same state; none where it has no such.
        history: what each device sent in earlier rounds, oldest first; only as many as a defence says it remembers.
    """

    turn: int
    state: State
    updates: Mapping[int, Update]
    examples: Mapping[int, int]
    reference: Update | None = None
    history: Sequence[Mapping[int, Update]] = ()


@dataclass(frozen=True)
class Aggregated:
    """What a defence makes of a round.

    Attributes:
        step: by which the state moves, before the server's rate; none where nothing was left.
        refused: devices whose updates had no part in it, for what they sent.
        suspected: how hostile each device looked, the larger the more; empty where a defence names nobody.
        named: what attack a defence says a device makes, where it says so.
        undone: earlier rounds that were done again without somebody; the new state replaces the old one before the
            step.
        replaced: that new state.
        quarantined: devices that stand apart after the round; they are not sent the next model.
    """

    step: Update | None
    refused: frozenset[int] = frozenset()
    suspected: Mapping[int, float] = field(default_factory=dict)
    named: Mapping[int, str] = field(default_factory=dict)
    undone: int = 0
    replaced: State | None = None
    quarantined: frozenset[int] = frozenset()


class Defence(Protocol):
    """Aggregates a federation's rounds, one after another; made anew for each federation."""

    @property
    def name(self) -> str:
        """A word for files and tables."""
        ...

    @property
    def remembers(self) -> int:
        """How many earlier rounds of everybody's updates it wants; 0 for none."""
        ...

    def aggregate(self, received: Received) -> Aggregated:
        """Return what becomes of a round."""
        ...


@dataclass(frozen=True)
class Decided:
    """What a defence with a control plane of its own asked it since its federation began.

    Attributes:
        count: of decisions.
        seconds: of all of them, by the control plane's own clock: from gathered facts to a recorded decision.
    """

    count: int
    seconds: float


@runtime_checkable
class Deciding(Protocol):
    """A defence that has a control plane."""

    def decided(self) -> Decided:
        """What it has been asked so far."""
        ...


@dataclass(frozen=True)
class Worth:
    """What a global model is worth.

    Attributes:
        accuracy: share of test examples whose class is predicted rightly.
        attack_success: share of triggered test examples for which the attacker's class is predicted.
        worst_client: the least accuracy over the devices' own test examples.
    """

    accuracy: float
    attack_success: float
    worst_client: float


class Learning(Protocol):
    """One task with its devices, attackers and schedule, in one process."""

    @property
    def name(self) -> str:
        """``smart_home`` or ``activity``."""
        ...

    @property
    def devices(self) -> int:
        """How many devices there are, hostile ones among them."""
        ...

    @property
    def hostile(self) -> frozenset[int]:
        """Which of them attack."""
        ...

    @property
    def rounds(self) -> int:
        """How many rounds the schedule has."""
        ...

    @property
    def server_rate(self) -> float:
        """Factor on a defence's step."""
        ...

    def examples(self, device: int) -> int:
        """How many examples a device has."""
        ...

    def initial(self) -> dict[str, Tensor]:
        """The state before the first round."""
        ...

    def sent(self, state: State, turn: int, devices: Sequence[int]) -> dict[int, dict[str, Tensor]]:
        """What each of these devices sends in a round, hostile ones after they saw the others' updates."""
        ...

    def is_attacking(self, device: int, turn: int) -> bool:
        """Whether a device behaves as its attack says in this round."""
        ...

    def reference(self, state: State, turn: int) -> dict[str, Tensor]:
        """What the server's own trusted examples yield."""
        ...

    def worth(self, state: State) -> Worth:
        """Judge a state on held-out examples."""
        ...
