"""Federated averaging as a plain loop, with nobody on guard: the yardstick for what guarding costs and saves."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from evaluation.federation.devices import Bench, Worth
from evaluation.federation.plan import Plan
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import Update


def federate(
    task: Task,
    plan: Plan,
    *,
    attacked: bool,
    on_round: Callable[[int, Worth], None] = lambda turn, worth: None,
    on_device: Callable[[], None] = lambda: None,
) -> list[Worth]:
    """Train for all rounds of ``plan`` and return the global model's worth after each.

    Args:
        task: what is learnt, by whom.
        plan: how.
        attacked: whether hostile devices behave as such.
        on_round: told of every round as it ends, counted from 1.
        on_device: called before each device trains; what it raises ends the federation.
    """
    bench = Bench(task, plan)
    state = bench.initial()
    history = []
    for turn in range(1, plan.rounds + 1):
        sent = []
        for device in range(task.devices):
            on_device()
            sent.append(bench.update(state, device, turn, attacked=attacked))
        state = averaged(state, [update for update, _ in sent], [examples for _, examples in sent], plan.server_rate)
        history.append(bench.worth(state))
        on_round(turn, history[-1])
    return history


def averaged(
    state: Mapping[str, Tensor], updates: Sequence[Update], weights: Sequence[int], rate: float
) -> dict[str, Tensor]:
    """``state`` moved by ``rate`` times the weighted mean of ``updates`` (McMahan et al., FedAvg, arXiv 1602.05629)."""
    total = sum(weights)
    return {
        name: value + rate * sum(weight * update[name] for weight, update in zip(weights, updates, strict=True)) / total
        for name, value in state.items()
    }
