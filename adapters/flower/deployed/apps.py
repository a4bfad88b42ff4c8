"""The server app and the client app that the kit's job runs in a deployment, each in processes that Flower starts."""

import time
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from adapters.conformance import Ended, Job, Scripted, report_of
from adapters.flower import GuardedStrategy, guard_mod

ENDED = "ended"
"""Folder below the job's in which the server app leaves how it ended."""

_QUERY_SECONDS = 60.0

server = ServerApp()


@server.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Run the job once all its nodes are there."""
    job = Job.read(Path(str(context.run_config["job"])))
    while len(list(grid.get_node_ids())) < len(job.clients):
        time.sleep(0.2)
    with job.guard() as guard:
        strategy = GuardedStrategy(
            FedAvg(fraction_evaluate=0.0, min_train_nodes=job.least, min_available_nodes=job.least),
            guard,
            duration_seconds=job.pace.training_seconds,
            query_timeout=_QUERY_SECONDS,
        )
        result = strategy.start(grid, ArrayRecord(job.initial), num_rounds=job.rounds)
        state = result.arrays.to_torch_state_dict() if result.arrays else job.initial
        Ended(state, job.rounds, report_of(guard)).write(job.folder / ENDED)


def member_of(context: Context) -> Scripted:
    """Return the scripted client that a node is."""
    return Scripted.open(Path(str(context.node_config["client"])))


client = ClientApp(mods=[guard_mod(member_of)])


@client.train()  # type: ignore[untyped-decorator]
def train(message: Message, context: Context) -> Message:
    """Train as the client's script says."""
    received = message.content["arrays"].to_torch_state_dict()
    with member_of(context) as member:
        trained = member.train(received)
    arrays = ArrayRecord(trained.weights(received))
    return Message(
        RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": trained.examples})}), reply_to=message
    )
