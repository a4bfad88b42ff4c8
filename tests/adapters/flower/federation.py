"""A federation in Flower's simulation, as a program of its own: it ends, or is ended, with all that it started.

Node 0 flips the sign of its update. Node 1 was enrolled as a consumer: it may not pull to train. The others are honest;
what node 2 contributed an operator has undone after the first round.
"""

import os

os.environ.update(FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1", RAY_USAGE_STATS_ENABLED="0")

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from adapters.flower import GuardedStrategy, guard_mod
from adapters.guard import Guard, Member, RoundReport
from adapters.rollback import verify
from examples.flower_app import task

NODES, ROUNDS, ATTACKER, UNDONE = 6, 3, 0, 2


def client_app(folder: Path) -> ClientApp:
    def member_of(context: Context) -> Member:
        return Member.open(folder / f"member-{context.node_config['partition-id']}")

    app = ClientApp(mods=[guard_mod(member_of)])

    @app.train()
    def train(message: Message, context: Context) -> Message:
        partition = int(context.node_config["partition-id"])
        received = message.content["arrays"].to_torch_state_dict()
        model = task.new_model()
        model.load_state_dict(received)
        points, labels = task.shard(partition)
        task.train(model, points, labels)
        trained = model.state_dict()
        if partition == ATTACKER:
            trained = {name: 2 * received[name] - value for name, value in trained.items()}
        metrics = MetricRecord({"num-examples": len(labels)})
        return Message(RecordDict({"arrays": ArrayRecord(trained), "metrics": metrics}), reply_to=message)

    return app


def undo(folder: Path) -> Callable[[int, RoundReport], None]:
    """Have an operator order, after the first round, that what one node contributed be undone."""

    def ordered(server_round: int, report: RoundReport) -> None:
        if server_round == 1:
            with Member.open(folder / "operator") as operator, Member.open(folder / f"member-{UNDONE}") as member:
                operator.plane.order_rollback(report.round_id, [member.id], "Its sensor was broken.")

    return ordered


def server_app(folder: Path, results: Path) -> ServerApp:
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        with Guard.open(
            folder / "aggregator", audience="aggregator-1", model="smart-home-intents", archive=folder / "archive"
        ) as guard:
            strategy = GuardedStrategy(FedAvg(fraction_evaluate=0.0), guard, on_round=undo(folder))
            start = task.new_model()
            result = strategy.start(grid, ArrayRecord(start.state_dict()), num_rounds=ROUNDS)
            model = task.new_model()
            model.load_state_dict(result.arrays.to_torch_state_dict())
            points, labels = task.shard(-1, 500)
            rounds = [
                {
                    "pulled": report.pulled,
                    "accepted": report.accepted,
                    "drops": [[drop.point, drop.cause, drop.subject] for drop in report.drops],
                    "quarantined": report.quarantined,
                    "rollbacks": [
                        [list(one.subjects), one.result.state, one.result.left_out] for one in report.rollbacks
                    ],
                }
                for report in guard.report.rounds
            ]
            accuracies = [task.accuracy(each, points, labels) for each in (start, model)]
            faults = verify(folder / "archive").faults
            results.write_text(json.dumps({"rounds": rounds, "accuracies": accuracies, "faults": faults}))

    return app


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_simulation(
        server_app=server_app(Path(sys.argv[1]), Path(sys.argv[2])),
        client_app=client_app(Path(sys.argv[1])),
        num_supernodes=NODES,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 2}},
    )
