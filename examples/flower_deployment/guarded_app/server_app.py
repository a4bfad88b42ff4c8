"""The server's side: any strategy, wrapped."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, Result
from torch import Tensor

from adapters.flower import GuardedStrategy
from adapters.guard import Guard, RoundReport
from guarded_app import task

app = ServerApp()


def trusted(_round: int, weights: dict[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the update that the server's own data yield: with it even two updates can be judged."""
    ((name, before),) = weights.items()
    after = task.train(before.numpy(), *task.shard(0, 256))
    return {name: torch.from_numpy(after) - before}


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train for some rounds, with whoever is there once enough nodes are."""
    given = context.run_config
    while len(list(grid.get_node_ids())) < int(given["nodes"]):
        time.sleep(1)
    with Guard.open(
        Path(str(given["aggregator"])), audience=str(given["audience"]), model=str(given["model"])
    ) as guard:
        seconds = float(given["seconds"])
        strategy = GuardedStrategy(
            FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1),
            guard,
            duration_seconds=seconds,
            query_timeout=seconds,
            reference=trusted,
            on_round=lambda number, report: _show(number, report, str(given["results"])),
        )
        result = strategy.start(grid, ArrayRecord([task.new_weights()]), num_rounds=int(given["rounds"]))
        _end(result, str(given["results"]))


def _show(number: int, report: RoundReport, results: str) -> None:
    drops = [[drop.point, drop.cause, drop.subject] for drop in report.drops]
    print(f"round {number}: {report.accepted} of {report.submitted} updates accepted; left out: {drops}")
    if results:
        line = {"round": number, "pulled": report.pulled, "accepted": report.accepted, "drops": drops}
        with Path(results).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _end(result: Result, results: str) -> None:
    (weights,) = result.arrays.to_numpy_ndarrays()
    distance = task.error(weights)
    print(f"the weights are {distance:.3f} from the truth; they were {task.error(task.new_weights()):.3f}")
    if results:
        with Path(results).open("a") as file:
            file.write(json.dumps({"ended": True, "error": distance}) + "\n")
