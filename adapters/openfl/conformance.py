"""OpenFL for the conformance kit: ``ztfm adapter check adapters.openfl.conformance``.

Run it by the interpreter of an environment that has OpenFL. Each collaborator is a process of its own, and speaks gRPC
to the aggregator.
"""

import logging
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import torch
from openfl.component.assigner.random_grouped_assigner import RandomGroupedAssigner
from openfl.interface.aggregation_functions import WeightedAverage
from openfl.protocols import aggregator_pb2_grpc
from openfl.transport import AggregatorGRPCClient, AggregatorGRPCServer
from openfl.transport.grpc.common import DEFAULT_CHANNEL_OPTIONS
from openfl.utilities import TensorKey
from torch import Tensor

from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.member import Member
from adapters.openfl.aggregator import GuardedAggregator
from adapters.openfl.collaborator import GuardedCollaborator
from adapters.openfl.tensors import MODEL, TRAINED, tensors_of

PACE = Pace(training_seconds=15.0, patience_seconds=15.0, round_seconds=180.0, job_seconds=240.0)
"""A collaborator asks for its next task every second."""

NOT_APPLICABLE = {
    "wrong-type": "OpenFL's messages carry float32 alone: tensors of another type are made float32 before they are "
    "sent, and are then what an honest client sends",
}

_TASKS = {
    "aggregated_model_validation": {"function": "validate", "kwargs": {}},
    "train": {"function": "train", "kwargs": {}},
}
_NAMES = {"aggregator_uuid": "aggregator_kit", "federation_uuid": "kit"}
_QUERY_SECONDS = 10.0
_GATHER_SECONDS = 60.0
_LINGER_SECONDS = 3.0
_GLANCE_SECONDS = 0.1
_THREADS = 8


class ScriptedRunner:
    """What a collaborator does in its tasks: as the script of its member says.

    Args:
        folder: of the member.
        names: of the model's tensors.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder = folder
        self._names = names
        self._examples = 0

    def set_optimizer_treatment(self, treatment: str) -> None:
        """Pass over what OpenFL says of optimizers: there is none."""

    def get_train_data_size(self) -> int:
        """Return the examples that the last training claimed."""
        return self._examples

    def get_valid_data_size(self) -> int:
        """Return the examples of a validation."""
        return 1

    def get_required_tensorkeys_for_function(self, function: str, **kwargs: Any) -> list[TensorKey]:
        """Return the model's tensors."""
        return [TensorKey(name, "GLOBAL", 0, False, (MODEL,)) for name in self._names]

    def validate(self, col_name: str, round_num: int, input_tensor_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """Return a metric."""
        return {TensorKey("accuracy", col_name, round_num, True, ("metric", "validate_agg")): np.array(0.5)}, {}

    def train(self, col_name: str, round_num: int, input_tensor_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """Return what the script makes of the weights."""
        received = tensors_of(input_tensor_dict)
        with Scripted.open(self._folder) as member:
            trained = member.train(received)
        # OpenFL's messages carry whole numbers of 32 bits.
        self._examples = min(trained.examples, 2**31 - 1)
        found = {
            TensorKey(name, col_name, round_num, False, (TRAINED,)): _array(value)
            for name, value in trained.weights(received).items()
        }
        return found, {}


class ScriptedCollaborator(GuardedCollaborator):
    """A collaborator whose member behaves as its script says."""

    def member_of(self) -> Member:
        """Return the scripted member."""
        return Scripted.open(self._folder)


def federation(job: Job) -> Ended:
    """Run a job whose aggregator listens on this machine, and whose collaborators are processes that speak gRPC to it.

    Raises:
        RuntimeError: something of the aggregator's side went wrong.
    """
    place = job.folder / "openfl"
    place.mkdir()
    aggregator = _aggregator(job, place)
    with _serving(aggregator) as port:
        collaborators = _started(job, port)
        try:
            while not aggregator.all_quit_jobs_sent():
                time.sleep(_GLANCE_SECONDS)
        finally:
            for one in collaborators:
                one.kill()
                one.join()
    rounds = aggregator.round_number
    state: dict[str, Tensor] = tensors_of(aggregator.model_of(rounds))
    return Ended(state, rounds, report_of(aggregator.guard))


def _aggregator(job: Job, place: Path) -> GuardedAggregator:
    names = [client.name for client in job.clients]
    tasks = {name: {**task, "aggregation_type": WeightedAverage()} for name, task in _TASKS.items()}
    group = {"name": "learning", "percentage": 1.0, "tasks": list(tasks)}
    guard = {
        "audience": job.audience,
        "model": job.model,
        "folder": str(job.aggregator),
        "gather_seconds": _GATHER_SECONDS,
        "duration_seconds": job.pace.training_seconds,
        "query_seconds": _QUERY_SECONDS,
        "linger_seconds": _LINGER_SECONDS,
        "patience_seconds": job.pace.patience_seconds,
    }
    return GuardedAggregator(
        guard=guard,
        **_NAMES,
        authorized_cols=names,
        init_state_path=str(place / "init.pbuf"),
        best_state_path=str(place / "best.pbuf"),
        last_state_path=str(place / "last.pbuf"),
        assigner=RandomGroupedAssigner([group], tasks=tasks, authorized_cols=names, rounds_to_train=job.rounds),
        rounds_to_train=job.rounds,
        db_store_rounds=2,
        initial_tensor_dict={name: tensor.numpy() for name, tensor in job.initial.items()},
        persist_checkpoint=False,
    )


@contextmanager
def _serving(aggregator: GuardedAggregator) -> Iterator[int]:
    """Serve on this machine alone: OpenFL's own loop listens everywhere, and looks every five seconds for the end."""
    servicer = AggregatorGRPCServer(aggregator, agg_port=0, use_tls=False)
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=DEFAULT_CHANNEL_OPTIONS)
    port = server.add_insecure_port("127.0.0.1:0")
    aggregator_pb2_grpc.add_AggregatorServicer_to_server(servicer, server)
    server.start()
    try:
        yield port
    finally:
        server.stop(0)


def _started(job: Job, port: int) -> list[BaseProcess]:
    # Forked from a process that has imported all this: six that each import torch would take half a minute.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    names = sorted(job.initial)
    started: list[BaseProcess] = [
        context.Process(target=_take_part, args=(place, port, names), daemon=True) for place in job.clients
    ]
    for one in started:
        one.start()
    return started


def _take_part(place: Path, port: int, names: list[str]) -> None:
    torch.set_num_threads(1)
    logging.getLogger("openfl").setLevel(logging.WARNING)
    client = AggregatorGRPCClient("127.0.0.1", port, **_NAMES, collaborator_name=place.name, use_tls=False)
    collaborator = ScriptedCollaborator(
        member=str(place),
        collaborator_name=place.name,
        **_NAMES,
        client=client,
        task_runner=ScriptedRunner(place, names),
        task_config=_TASKS,
    )
    collaborator.run()


def _array(value: object) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value
