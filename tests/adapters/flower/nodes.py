"""A federation of real members on a grid in this process, and what its nodes do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg, Strategy

from adapters.flower import GuardedStrategy, guard_mod
from adapters.guard import Guard, Member, RoundReport
from tests.adapters.flower.local_grid import LocalGrid, Tamper
from tests.support import ControlPlane

SIZE = 6
Train = Callable[[int, dict[str, Any]], dict[str, Any]]


def start_state() -> dict[str, torch.Tensor]:
    return {"weight": torch.zeros(4, 3), "bias": torch.zeros(4), "steps": torch.tensor(7)}


def honest(partition: int, state: dict[str, Any]) -> dict[str, Any]:
    """Move every weight half the way to one, with noise of the node's own, another one in each round."""
    noise = torch.Generator().manual_seed(partition + 1000 * int(1000 * float(state["weight"].mean())))
    moved = {
        name: value + 0.5 * (1 - value) * (1 + 0.1 * torch.randn(value.shape, generator=noise))
        for name, value in state.items()
        if value.is_floating_point()
    }
    return {**moved, "steps": state["steps"] + 1}


class Federation:
    """Members in folders, an app for all of them, and a guarded strategy."""

    def __init__(self, guard: Guard, folder: Path) -> None:
        self.guard = guard
        self.folder = folder
        self.kinds: dict[int, type[Member]] = {}
        self.trains: dict[int, Train] = {}
        self.metrics: dict[int, dict[str, Any]] = {}
        self.tamper: dict[int, Tamper] = {}
        self.reports: list[RoundReport] = []
        self.on_round: Callable[[int, RoundReport], None] = lambda _, report: self.reports.append(report)
        self.grid: LocalGrid

    def member_of(self, context: Context) -> Member:
        partition = int(context.node_config["partition-id"])
        return self.kinds.get(partition, Member).open(self.folder / f"member-{partition}")

    def app(self) -> ClientApp:
        app = ClientApp(mods=[guard_mod(self.member_of)])

        @app.train()
        def train(message: Message, context: Context) -> Message:
            assert set(message.content) == {"arrays", "config"}, "the app sees nothing of the guard"
            partition = int(context.node_config["partition-id"])
            trained = self.trains.get(partition, honest)(partition, message.content["arrays"].to_torch_state_dict())
            metrics = self.metrics.get(partition, {"num-examples": 20, "loss": 0.5})
            content = {"arrays": ArrayRecord(trained), "metrics": MetricRecord(metrics)}
            return Message(RecordDict(content), reply_to=message)

        @app.evaluate()
        def evaluate(message: Message, context: Context) -> Message:
            assert set(message.content) == {"arrays", "config"}
            metrics = MetricRecord(self.metrics.get(int(context.node_config["partition-id"]), {"num-examples": 20}))
            return Message(RecordDict({"metrics": metrics}), reply_to=message)

        return app

    def run(self, strategy: Strategy | None = None, rounds: int = 1, **options: Any) -> Any:
        self.grid = LocalGrid(self.app(), SIZE, {node + 1: tamper for node, tamper in self.tamper.items()})
        guarded = GuardedStrategy(
            strategy or FedAvg(fraction_evaluate=0.0),
            self.guard,
            on_round=self.on_round,
            **options,
        )
        return guarded.start(self.grid, ArrayRecord(start_state()), num_rounds=rounds)

    def received_weights(self) -> set[int]:
        """The nodes that were ever sent weights."""
        return {message.metadata.dst_node_id - 1 for message in self.grid.sent if message.content.array_records}


def federated(plane: ControlPlane, guard: Guard, folder: Path) -> Federation:
    """A federation whose members are enrolled in ``folder``."""
    for number in range(SIZE):
        Member.enrol(folder / f"member-{number}", plane.url, plane.token(["trainer"], "homes")).close()
    return Federation(guard, folder)
