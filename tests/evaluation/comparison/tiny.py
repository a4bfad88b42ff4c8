"""A task that costs nothing: devices pull a point to where their examples are; and what else cells need."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from evaluation.comparison.catalogue import Attack, Catalogue, Shield
from evaluation.comparison.cells import Cell
from evaluation.comparison.interfaces import Aggregated, Defence, Learning, Received, State, Worth
from evaluation.comparison.system import Unjudged

DEVICES, ROUNDS, SIZE = 10, 5, 32
GOAL = torch.full((SIZE,), SIZE**-0.5)
NOISE = 0.3


class Pulling:
    """Honest devices go half of the way to the goal, not quite straight; hostile ones three times as far from it."""

    name = "tiny"
    devices = DEVICES
    rounds = ROUNDS
    server_rate = 1.0

    def __init__(self, cell: Cell) -> None:
        self._attack = cell.attack
        self.hostile = frozenset(range(round(cell.share * DEVICES)))

    def examples(self, device: int) -> int:
        return 10 + device

    def initial(self) -> dict[str, Tensor]:
        return {"point": torch.zeros(SIZE)}

    def sent(self, state: State, turn: int, devices: Sequence[int]) -> dict[int, dict[str, Tensor]]:
        way = 0.5 * (GOAL - state["point"])
        return {
            device: {"point": self._factor(device, turn) * way + self._noise(device, turn) * way.norm()}
            for device in devices
        }

    def is_attacking(self, device: int, turn: int) -> bool:
        return self._attack != "none" and device in self.hostile and (self._attack != "sleeper" or turn > 2)

    def reference(self, state: State, turn: int) -> dict[str, Tensor]:
        return {"point": 0.5 * (GOAL - state["point"])}

    def worth(self, state: State) -> Worth:
        accuracy = max(0.0, 1.0 - float((GOAL - state["point"]).norm()))
        return Worth(accuracy, 1.0 - accuracy, accuracy / 2)

    def _noise(self, device: int, turn: int) -> Tensor:
        return NOISE * SIZE**-0.5 * torch.randn(SIZE, generator=torch.Generator().manual_seed(100 * turn + device))

    def _factor(self, device: int, turn: int) -> float:
        return (
            {"push": -3.0, "sleeper": -3.0, "harmless": 1.0}[self._attack] if self.is_attacking(device, turn) else 1.0
        )


class Mean:
    """Plain averaging."""

    name = "averaging"
    remembers = 0

    def aggregate(self, received: Received) -> Aggregated:
        total = sum(received.examples.values())
        return Aggregated(
            {"point": sum(u["point"] * received.examples[d] / total for d, u in received.updates.items())}
        )


class Apart:
    """Sets apart for good who moves against the reference, undoes a round for it, and calls it a sign flip."""

    name = "apart"
    remembers = 2

    def __init__(self) -> None:
        self._apart: frozenset[int] = frozenset()
        self.histories: list[int] = []

    def aggregate(self, received: Received) -> Aggregated:
        assert received.reference is not None
        self.histories.append(len(received.history))
        sums = {d: float((u["point"] * received.reference["point"]).sum()) for d, u in received.updates.items()}
        hostile = frozenset(device for device, value in sums.items() if value < 0.0)
        kept = [u["point"] for d, u in received.updates.items() if d not in hostile]
        self._apart |= hostile
        return Aggregated(
            {"point": torch.stack(kept).mean(0)} if kept else None,
            refused=hostile,
            suspected={device: -value for device, value in sums.items()},
            named=dict.fromkeys(hostile, "sign_flip"),
            undone=len(hostile),
            replaced=dict(received.state) if hostile else None,
            quarantined=self._apart,
        )


class Broken:
    """Forgets a tensor of the state."""

    name = "broken"
    remembers = 0

    def aggregate(self, received: Received) -> Aggregated:
        return Aggregated({"other": torch.zeros(2)})


class Unheard(Mean):
    """Its control plane does not answer."""

    def aggregate(self, received: Received) -> Aggregated:
        raise Unjudged("nobody answers")


def cell(
    attack: str = "push", defence: str = "averaging", seed: int = 0, share: float = 0.2, skew: float = 0.5
) -> Cell:
    return Cell(
        task="tiny", attack=attack, defence=defence, skew=skew, share=0.0 if attack == "none" else share, seed=seed
    )


def learning(of: Cell, size: str, folder: Path) -> Learning:
    return Pulling(of)


@contextmanager
def averaging(of: Cell, task: Learning) -> Iterator[Defence]:
    yield Mean()


@contextmanager
def apart(of: Cell, task: Learning) -> Iterator[Defence]:
    yield Apart()


@contextmanager
def broken(of: Cell, task: Learning) -> Iterator[Defence]:
    yield Broken()


@contextmanager
def unheard(of: Cell, task: Learning) -> Iterator[Defence]:
    yield Unheard()


def catalogue() -> Catalogue:
    return Catalogue(
        tasks={"tiny": learning},
        attacks={
            "none": Attack("nobody attacks"),
            "push": Attack("push away", frozenset({"sign_flip"})),
            "sleeper": Attack("sleeps", frozenset({"sign_flip"})),
            "harmless": Attack("does nothing"),
        },
        defences={
            "averaging": Shield("plain averaging", averaging, names_devices=False),
            "apart": Shield("sets apart <b>", apart, wants_reference=True),
            "broken": Shield("broken", broken),
            "unheard": Shield("unheard", unheard),
        },
    )
