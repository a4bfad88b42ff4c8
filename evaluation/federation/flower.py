"""The same federation through Flower: with nobody on guard, and with every pull and submission decided by policy."""

from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvgM, Strategy
from torch import Tensor

from adapters.flower import GuardedStrategy
from adapters.guard import Guard, RoundReport
from evaluation.federation.clients import ATTACKED
from evaluation.federation.devices import Bench, Worth
from evaluation.federation.plan import Plan
from evaluation.smart_home.task import Task

Told = Callable[[int, Worth], None]


@dataclass(frozen=True)
class Trained:
    """What a federation ended with.

    Attributes:
        history: the global model's worth after each round.
        state: the final global state.
    """

    history: list[Worth]
    state: dict[str, Tensor]


def train_unguarded(grid: Grid, task: Task, plan: Plan, *, attacked: bool, on_worth: Told) -> Trained:
    """Federated averaging over all devices, hostile or not."""
    return _train(grid, _averaging(task, plan), task, plan, attacked, on_worth)


def train_guarded(
    grid: Grid,
    task: Task,
    plan: Plan,
    guard: Guard,
    *,
    on_worth: Told,
    on_round: Callable[[int, RoundReport], None],
    round_seconds: float = 300.0,
) -> Trained:
    """The same over those whom policy lets in, under attack.

    Args:
        grid: reaches the devices.
        task: what is learnt, by whom.
        plan: how.
        guard: of this federation.
        on_worth: told the worth of the global model after each round.
        on_round: told what the guard did in each round.
        round_seconds: how long devices have to answer, and how long to train.
    """
    bench = Bench(task, plan)
    strategy = GuardedStrategy(
        _averaging(task, plan),
        guard,
        duration_seconds=round_seconds,
        # The first question waits for processes that import torch, one after the other, on a machine that is busy.
        query_timeout=round_seconds,
        reference=lambda turn, state: bench.reference(state, turn),
        on_round=on_round,
    )
    return _train(grid, strategy, task, plan, True, on_worth)


def _averaging(task: Task, plan: Plan) -> Strategy:
    return FedAvgM(
        fraction_evaluate=0.0,
        min_train_nodes=task.devices,
        min_available_nodes=task.devices,
        server_learning_rate=plan.server_rate,
    )


def _train(grid: Grid, strategy: Strategy, task: Task, plan: Plan, attacked: bool, on_worth: Told) -> Trained:
    bench = Bench(task, plan)
    trained = Trained([], bench.initial())

    def judge(turn: int, arrays: ArrayRecord) -> None:
        if turn == 0:
            return
        # Not taken from Flower's result: that is empty where no round had anything to aggregate.
        trained.state.update(arrays.to_torch_state_dict())
        trained.history.append(bench.worth(trained.state))
        on_worth(turn, trained.history[-1])

    strategy.start(
        grid,
        ArrayRecord(trained.state),
        num_rounds=plan.rounds,
        train_config=ConfigRecord({ATTACKED: attacked}),
        evaluate_fn=judge,
    )
    return trained
