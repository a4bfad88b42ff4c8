"""Flower's simulation for the kit: ``ztfm adapter check adapters.flower.conformance``.

Link state, grid and runtime are those of Flower 1.41; what Ray does for it, threads of this process do. The proxy has
no part in it: it keeps the weights from nodes that go around the strategy, and in a simulation nobody can.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.server.superlink.fleet.vce import vce_api
from flwr.server.superlink.fleet.vce.backend import Backend
from flwr.server.superlink.fleet.vce.metrics import VceMetrics
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID, TaskType
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid.inmemory_grid import InMemoryGrid

from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.flower import GuardedStrategy, guard_mod

PACE = Pace(training_seconds=4.0, job_seconds=90.0)
"""Messages wait for each other: the runtime looks for them ten times a second."""

NOT_APPLICABLE = {"dying": "clients are threads of the runtime's own process"}

_QUERY_SECONDS = 20.0
_END_SECONDS = 3.0


def federation(job: Job) -> Ended:
    """Run a job in a simulation of its own, a node for each client."""
    with job.guard() as guard, _simulated(_client_app(job), len(job.clients)) as grid:
        nodes = len(job.clients)
        strategy = GuardedStrategy(
            FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes),
            guard,
            duration_seconds=job.pace.training_seconds,
            query_timeout=_QUERY_SECONDS,
        )
        result = strategy.start(grid, ArrayRecord(job.initial), num_rounds=job.rounds)
        state = result.arrays.to_torch_state_dict() if result.arrays else job.initial
        return Ended(state, job.rounds, report_of(guard))


def _client_app(job: Job) -> Any:
    def member_of(context: Context) -> Scripted:
        return Scripted.open(job.clients[int(context.node_config["partition-id"])])

    app = ClientApp(mods=[guard_mod(member_of)])

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Message, context: Context) -> Message:
        received = message.content["arrays"].to_torch_state_dict()
        with member_of(context) as member:
            trained = member.train(received)
        arrays = ArrayRecord(trained.weights(received))
        metrics = MetricRecord({"num-examples": trained.examples})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


class _Threads(Backend):  # type: ignore[misc] # flwr is read without its types
    """Runs client apps in the threads that the runtime asks from."""

    def __init__(self, workers: int) -> None:
        super().__init__({})
        self._workers = workers
        self._app: Any = None

    @property
    def num_workers(self) -> int:
        """How many messages are under way at once."""
        return self._workers

    def build(self, app_fn: Callable[[], Any]) -> None:
        """Load the app."""
        self._app = app_fn()

    def is_worker_idle(self) -> bool:
        """A thread that asks is one."""
        return True

    def terminate(self) -> None:
        """There is nothing to end."""

    def process_message(self, message: Message, context: Context) -> tuple[Message, Context]:
        """Run the app on a message."""
        return self._app(message, context), context


@contextmanager
def _simulated(app: Any, nodes: int) -> Iterator[Grid]:
    """Run the app on so many nodes, and give the grid that reaches them."""
    factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory())
    state = factory.state()
    run_id = state.create_run("ztfm/kit", "1", "", {}, NOOP_FEDERATION_ID, None, "", TaskType.SERVER_APP)
    (run,) = state.get_run_info(run_ids=[run_id])
    state.claim_task(run.primary_task_id)
    state.activate_task(run.primary_task_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, run_id, SUPERLINK_NODE_ID
    grid = InMemoryGrid(state_factory=factory)
    grid.set_run(run)
    mapping = vce_api._register_nodes(nodes, factory)
    stores = _stores(mapping, nodes, run_id)
    stop = threading.Event()
    runtime = threading.Thread(
        target=vce_api.run_api,
        args=(lambda: app, lambda: _Threads(nodes), mapping, factory, stores, stop, VceMetrics()),
        name="flower-simulation",
        daemon=True,
    )
    runtime.start()
    try:
        yield grid
    finally:
        stop.set()
        # A client that hangs is not waited for.
        runtime.join(_END_SECONDS)


def _stores(mapping: dict[int, int], nodes: int, run_id: int) -> dict[int, Any]:
    """Return what the runtime keeps of each node."""
    found = {}
    for node_id, partition in mapping.items():
        config = {"partition-id": partition, "num-partitions": nodes}
        found[node_id] = vce_api.DeprecatedRunInfoStore(node_id=node_id, node_config=config)
        found[node_id].register_context(run_id=run_id)
    return found
