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

_GLANCE_SECONDS = 0.2
_LINGER_SECONDS = 5.0
_GATHER_SECONDS = 60.0

server = ServerApp()


@server.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Run the job once all its nodes are there."""
    job = Job.read(Path(str(context.run_config["job"])))
    missing = len(job.clients) - _gathered(grid, job)
    with job.guard() as guard:
        for _ in range(missing):
            # The proxy lets no node in that is no member's: nobody here ever hears of it.
            guard.drop("identify", "absent")
        strategy = GuardedStrategy(
            FedAvg(fraction_evaluate=0.0, min_train_nodes=job.least, min_available_nodes=job.least),
            guard,
            duration_seconds=job.pace.training_seconds,
            query_timeout=job.pace.training_seconds,
        )
        result = strategy.start(grid, ArrayRecord(job.initial), num_rounds=job.rounds)
        state = result.arrays.to_torch_state_dict() if result.arrays else job.initial
        draft = job.folder / f"{ENDED}-draft"
        draft.mkdir()
        Ended(state, job.rounds, report_of(guard)).write(draft)
        # Whoever waits for it reads it at once, and ends all this.
        draft.rename(job.folder / ENDED)


def _gathered(grid: Grid, job: Job) -> int:
    """Return how many nodes there are once all are, or as many as can be and no more came for a while.

    Raises:
        RuntimeError: too few came.
    """
    began = came = time.monotonic()
    seen = 0
    while time.monotonic() - began < _GATHER_SECONDS:
        there = len(list(grid.get_node_ids()))
        if there != seen:
            seen, came = there, time.monotonic()
        if seen == len(job.clients) or (seen >= job.least and time.monotonic() - came > _LINGER_SECONDS):
            return seen
        time.sleep(_GLANCE_SECONDS)
    raise RuntimeError(f"{seen} of {len(job.clients)} nodes came")


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
