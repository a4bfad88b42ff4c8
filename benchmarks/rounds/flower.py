"""Rounds in Flower's simulation: the demo's task on the demo's devices, guarded and unguarded ones in turn."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy

from adapters.flower import GuardedStrategy
from adapters.guard import Guard
from adapters.member import Member
from benchmarks.rounds.figures import MOST_REFUSED, Timed, is_guarded
from benchmarks.rounds.processor import processor_seconds
from evaluation.demo.fleet import Fleet, enrolled, home
from evaluation.demo.plane import Plane
from evaluation.federation.clients import ATTACKED, client_app
from evaluation.federation.devices import Bench
from evaluation.federation.plan import Plan
from evaluation.federation.simulation import simulation
from evaluation.smart_home.task import Task, load_task

_AUDIENCE, _MODEL = "aggregator", "smart-home-intents"
_PROCESSES = 2


class TakingTurns(Strategy):  # type: ignore[misc] # flwr is read without its types
    """Has guarded and unguarded rounds follow one another in one federation, and times each.

    Args:
        plain: the unguarded strategy.
        guarded: the same, guarded.
    """

    def __init__(self, plain: Strategy, guarded: Strategy) -> None:
        self.rounds: list[Timed] = []
        self._kinds = {False: plain, True: guarded}
        self._begun = self._sent = self._processor = 0.0

    def summary(self) -> None:
        """Log nothing."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the strategy whose turn it is."""
        self._processor = processor_seconds()
        self._begun = time.perf_counter()
        messages = self._kinds[is_guarded(server_round)].configure_train(server_round, arrays, config, grid)
        sent = list(messages)
        self._sent = time.perf_counter()
        return sent

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As the strategy whose turn it is."""
        came = list(replies)
        trained = time.perf_counter()
        found: tuple[ArrayRecord | None, MetricRecord | None]
        found = self._kinds[is_guarded(server_round)].aggregate_train(server_round, came)
        ended = time.perf_counter()
        used = processor_seconds() - self._processor
        self.rounds.append(Timed(self._sent - self._begun, trained - self._sent, ended - trained, used))
        return found

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Nobody evaluates."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nobody does."""
        return None


def measure(folder: Path, plane: Plane, plan: Plan, pairs: int) -> tuple[list[Timed], dict[str, Any]]:
    """Return the times of so many pairs of rounds, and what was trained.

    Args:
        folder: private, with a short path.
        plane: the control plane; everybody enrols at it.
        plan: how devices train.
        pairs: of an unguarded round and a guarded one.

    Raises:
        RuntimeError: more than a few honest updates were refused, so they were not the same rounds.
    """
    task = load_task(0, folder / "trunk")
    torch.set_num_threads(1)
    fleet = enrolled(plane, folder / "parties", task.devices)
    app = client_app(0, plan, folder / "trunk", partial(_member, fleet.folder))
    rounds: list[Timed] = []
    refused = 0

    def serve(grid: Grid) -> None:
        nonlocal refused
        timed, refused = _serve(grid, task, plan, fleet, pairs)
        rounds.extend(timed)

    with simulation(folder / "ray", _PROCESSES, Event()) as simulate:
        simulate(app, task.devices, serve)
    state = task.model().trainable_state()
    return rounds, {
        "clients": task.devices,
        "refused": refused,
        "processes": _PROCESSES,
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "sentences_a_round": sum(len(shard) for shard in task.shards) * plan.local.epochs,
    }


def _serve(grid: Grid, task: Task, plan: Plan, fleet: Fleet, pairs: int) -> tuple[list[Timed], int]:
    bench, members = Bench(task, plan), [fleet.names[home(device)] for device in range(task.devices)]
    with Guard.open(fleet.folder / "aggregator", audience=_AUDIENCE, model=_MODEL, members=members) as guard:
        guarded = GuardedStrategy(_averaging(task), guard, reference=lambda turn, state: bench.reference(state, turn))
        strategy = TakingTurns(_averaging(task), guarded)
        config = ConfigRecord({ATTACKED: False})
        strategy.start(grid, ArrayRecord(bench.initial()), num_rounds=2 * pairs, train_config=config)
        updates = guard.report.updates
    refused = pairs * task.devices - updates["accepted"]
    if refused > MOST_REFUSED * pairs * task.devices:
        raise RuntimeError(f"too many honest updates stayed out of the model to compare rounds: {dict(updates)}")
    return strategy.rounds, refused


def _averaging(task: Task) -> Strategy:
    return FedAvg(fraction_evaluate=0.0, min_train_nodes=task.devices, min_available_nodes=task.devices)


def _member(folder: Path, device: int) -> Member:
    return Member.open(folder / home(device))
