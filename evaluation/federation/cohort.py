"""One round's updates of all devices, where hostile ones see what the others send before they do."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from evaluation.smart_home.attacks import Attack, Knowledge
from evaluation.smart_home.training import Update


class Trains(Protocol):
    """On which devices train."""

    def trained(self, state: Mapping[str, Tensor], device: int, turn: int, *, attacked: bool) -> Update:
        """What a device's training yields in round ``turn``, before a hostile one makes something else of it."""
        ...


class Cohort:
    """Lets devices train round after round.

    Args:
        bench: on which they train.
        attacks: what each hostile device does.
        onset: the round from which hostile devices behave as such.
    """

    def __init__(self, bench: Trains, attacks: Mapping[int, Attack], onset: int = 1) -> None:
        self._bench = bench
        self._attacks = attacks
        self._onset = onset
        self._history: list[Mapping[int, Update]] = []

    def updates(self, state: Mapping[str, Tensor], turn: int, devices: Sequence[int]) -> dict[int, Update]:
        """What each of ``devices`` sends in a round, by device.

        Args:
            state: the global state that they train from.
            turn: the round, from 1; one more than in the call before.
            devices: who takes part.
        """
        hostile = {device for device in devices if self.is_attacking(device, turn)}
        sent = {device: self._bench.trained(state, device, turn, attacked=device in hostile) for device in devices}
        allies = {device: update for device, update in sent.items() if device in hostile}
        # Where no honest device takes part, hostile ones go by what their own training yields.
        honest = [update for device, update in sent.items() if device not in hostile] or list(allies.values())
        for device, update in allies.items():
            known = Knowledge(device, turn, honest, allies, tuple(self._history))
            sent[device] = self._attacks[device].distort(update, known)
        self._history.append(sent)
        return sent

    def is_attacking(self, device: int, turn: int) -> bool:
        """Whether a device is hostile, and behaves as such in a round."""
        return device in self._attacks and turn >= self._onset
