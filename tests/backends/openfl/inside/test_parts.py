"""Single parts, with OpenFL's own around them: run by the interpreter of its environment (`make test-backends`)."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openfl")

from hypothesis import given
from hypothesis import strategies as st
from openfl.component.aggregator.straggler_handling import WaitForAllPolicy
from openfl.component.assigner.random_grouped_assigner import RandomGroupedAssigner
from openfl.databases import PersistentTensorDB
from openfl.interface.aggregation_functions import WeightedAverage
from openfl.pipelines import NoCompressionPipeline, STCPipeline, TensorCodec
from openfl.protocols.base_pb2 import NamedTensor
from openfl.transport import AggregatorRESTClient, AggregatorRESTServer
from openfl.utilities import TensorKey

from adapters.guard.rounds import Weights
from adapters.openfl.aggregator import GuardedAggregator
from adapters.openfl.collaborator import GuardedCollaborator
from adapters.openfl.desk import Desk, Taking
from adapters.openfl.messages import QUESTION, packed, ticket_of, ticketed, unpacked
from adapters.openfl.tensors import encoded, metrics_of, tensors_of, update_of
from adapters.rollback import verify
from adapters.screening import update_digest
from tests.servers.ports import free_port

pytestmark = [
    pytest.mark.backends,
    # OpenFL's own, of what it imports.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

CODEC = TensorCodec(NoCompressionPipeline())
INITIAL = {"head": np.zeros((4, 8), dtype=np.float32), "body": np.ones(16, dtype=np.float32)}
NAMES = [f"site-{number}" for number in range(4)]
UUIDS = {"aggregator_uuid": "aggregator_test", "federation_uuid": "test"}
TASKS = {"check": {"function": "check", "kwargs": {}}, "train": {"function": "train", "kwargs": {}}}


def sent(name: str, value: object, *tags: str, shown: bool = False) -> NamedTensor:
    return encoded(name, value, 0, CODEC, tags=tags, shown=shown)


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda one: json.dumps(one).encode())
)
def test_what_is_no_flat_mapping_of_text_is_nothing_of_ours(raw: bytes) -> None:
    assert unpacked([NamedTensor(name=QUESTION, data_bytes=raw)]) == {}


def test_a_mapping_comes_back_from_among_other_tensors_and_half_a_surrogate_does_not() -> None:
    assert unpacked([sent("head", 1.0, "trained"), packed({"a": "ü"})]) == {"a": "ü"}
    assert unpacked([NamedTensor(name=QUESTION, data_bytes=b'{"a": "\\ud800"}')]) == {}


def test_a_metric_that_calls_itself_a_part_of_the_model_is_none() -> None:
    tensors = [
        sent("accuracy", 0.5, "metric", "validate_agg", shown=True),
        sent("head", 9.0, "metric", "trained"),
        sent("broken", float("nan"), "metric"),
        sent("long", [1.0, 2.0], "metric"),
        NamedTensor(name="garbage", tags=["metric", "compressed"], data_bytes=b"xyz"),
    ]
    assert {key.name: value for key, value in metrics_of(tensors, CODEC).items()} == {"accuracy": 0.5}


def test_weights_and_their_difference_are_one_update_with_one_digest() -> None:
    received = tensors_of(INITIAL)
    trained = {name: value + 0.25 for name, value in INITIAL.items()}
    weights = [sent(name, value, "trained") for name, value in trained.items()]
    steps = [sent(name, trained[name] - value, "trained", "delta") for name, value in INITIAL.items()]
    manifest = Weights.of(received).manifest
    digests = {update_digest(update_of(one, CODEC, received), manifest) for one in (weights, steps)}
    assert len(digests) == 1


def test_a_tensor_that_cannot_be_read_stays_in_the_update_as_none() -> None:
    garbage = NamedTensor(name="head", tags=["trained", "compressed"], data_bytes=b"xyz")
    assert update_of([garbage], CODEC, tensors_of(INITIAL)) == {"head": None}


def test_a_request_bears_one_ticket_or_none() -> None:
    assert ticket_of(ticketed(("model",), "t" * 40)) == ("t" * 40, ("model",))
    assert ticket_of(ticketed(ticketed(("model",), "a"), "b")) == ("", ("model",))


def test_weights_go_to_the_ticket_of_the_round_that_is_open_and_to_no_name_alone() -> None:
    desk, taking = Desk(), Taking(1, {"one": "t" * 40}, {"one": ["train"]})
    thread = threading.Thread(target=desk.take, args=(taking, lambda done, members: False, 30.0))
    thread.start()
    try:
        while not desk.may_receive("one", 1, "t" * 40):
            pass
        assert not desk.may_receive("one", 1, "")
        assert not desk.may_receive("two", 1, "t" * 40)
        assert not desk.may_receive("one", 0, "t" * 40)
        assert not desk.result("two", 1, "train", 1, [])
        assert not desk.result("one", 1, "validate", 1, [])
        assert desk.result("one", 1, "train", 1, [packed({"a": "first"})])
        assert not desk.result("one", 1, "train", 1, [packed({"a": "second"})])
    finally:
        thread.join(10)
    assert not desk.may_receive("one", 1, "t" * 40)
    assert taking.results["one"]["train"].ours == {"a": "first"}


def test_an_answer_that_was_not_asked_for_is_none() -> None:
    desk = Desk()
    desk.answer("one", [packed({"a": "b"})])
    assert desk.gather(["one"], {"stage": "identify"}, 0.0) == {}


def settings(folder: Path, rounds: int = 2, **more: Any) -> dict[str, Any]:
    tasks = {name: {**task, "aggregation_type": WeightedAverage()} for name, task in TASKS.items()}
    group = {"name": "learning", "percentage": 1.0, "tasks": list(tasks)}
    plain = {
        **UUIDS,
        "authorized_cols": NAMES,
        "init_state_path": "",
        "best_state_path": str(folder / "best.pbuf"),
        "last_state_path": str(folder / "last.pbuf"),
        "assigner": RandomGroupedAssigner([group], tasks=tasks, authorized_cols=NAMES, rounds_to_train=rounds),
        "rounds_to_train": rounds,
        "db_store_rounds": 2,
        "initial_tensor_dict": dict(INITIAL),
        "persist_checkpoint": False,
    }
    return {**plain, **more}


def guard(folder: Path, **more: Any) -> dict[str, Any]:
    plain = {"audience": "aggregator-1", "model": "smart-home-intents", "folder": str(folder / "aggregator")}
    return {**plain, "query_seconds": 5.0, "duration_seconds": 20.0, "gather_seconds": 20.0, **more}


@pytest.mark.parametrize(
    ("more", "asked", "said"),
    [
        ({"secure_aggregation": True}, {}, "masked"),
        ({"connector": object()}, {}, "connector"),
        ({"compression_pipeline": STCPipeline()}, {}, "lossy"),
        ({}, {"training_task": "learn"}, "no task 'learn'"),
        ({}, {"archive": "archive"}, "use_delta_updates"),
    ],
)
def test_a_plan_that_cannot_be_guarded_does_not_start(
    tmp_path: Path, more: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        GuardedAggregator(guard=guard(tmp_path, **asked), **settings(tmp_path, **more))


class Direct:
    """Stands for OpenFL's client and server: calls the aggregator in its own process."""

    def __init__(self, aggregator: GuardedAggregator, name: str) -> None:
        self.aggregator, self.name = aggregator, name

    def get_tasks(self) -> Any:
        tasks, number, seconds, is_over = self.aggregator.get_tasks(self.name)
        return tasks or [], number, min(seconds, 0.1), is_over

    def get_aggregated_tensor(self, *given: Any) -> Any:
        return self.aggregator.get_aggregated_tensor(*given, self.name)

    def send_local_task_results(self, *given: Any) -> None:
        self.aggregator.send_local_task_results(self.name, *given)


class Runner:
    """Goes half the way to a target, with noise of its own."""

    def __init__(self, number: int) -> None:
        self.noise = np.random.default_rng(number)

    def set_optimizer_treatment(self, treatment: str) -> None:
        pass

    def get_train_data_size(self) -> int:
        return 20

    def get_required_tensorkeys_for_function(self, function: str, **kwargs: Any) -> list[TensorKey]:
        return [TensorKey(name, "GLOBAL", 0, False, ("model",)) for name in INITIAL]

    def check(self, col_name: str, round_num: int, input_tensor_dict: Any, **kwargs: Any) -> Any:
        return {TensorKey("accuracy", col_name, round_num, True, ("metric", "validate_agg")): np.array(0.5)}, {}

    def train(self, col_name: str, round_num: int, input_tensor_dict: Any, **kwargs: Any) -> Any:
        found = {
            TensorKey(name, col_name, round_num, False, ("trained",)): (
                value + 0.5 * (2.0 - value) * self.noise.normal(1.0, 0.2, value.shape)
            ).astype(np.float32)
            for name, value in input_tensor_dict.items()
        }
        return found, {}


Connect = Callable[[GuardedAggregator, str], Any]
"""From an aggregator and a collaborator's name to its client."""


def ended(aggregator: GuardedAggregator, folder: Path, is_delta: bool, connect: Connect = Direct) -> dict[str, Any]:
    """Run a federation to its end, and return the report."""

    def take_part(number: int, name: str) -> None:
        GuardedCollaborator(
            member=str(folder / "{collaborator}"),
            collaborator_name=name,
            **UUIDS,
            client=connect(aggregator, name),
            task_runner=Runner(number),
            task_config=TASKS,
            use_delta_updates=is_delta,
        ).run()

    threads = [threading.Thread(target=take_part, args=one) for one in enumerate(NAMES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    deadline = time.monotonic() + 30
    while not aggregator.all_quit_jobs_sent():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found: dict[str, Any] = json.loads((folder / "ztfm.json").read_text())
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_delta", [False, True])
def test_a_federation_ends_with_the_weights_that_accepted_updates_make(
    enrol: Callable[..., str], tmp_path: Path, is_delta: bool
) -> None:
    for name in NAMES:
        enrol(name)
    enrol("aggregator", role="aggregator", segment="core")
    more = {} if is_delta else {"archive": str(tmp_path / "archive")}
    aggregator = GuardedAggregator(
        guard=guard(tmp_path, **more),
        straggler_handling_policy=WaitForAllPolicy,
        **settings(tmp_path, use_delta_updates=is_delta),
    )
    report = ended(aggregator, tmp_path, is_delta)
    assert [(one["pulled"], one["accepted"], one["drops"]) for one in report["rounds"]] == [(4, 4, [])] * 2
    after = aggregator.model_of(2)
    assert all(np.abs(value - 2.0).max() < np.abs(INITIAL[name] - 2.0).max() for name, value in after.items())
    assert aggregator.best_model_score == 0.5
    if not is_delta:
        kept = verify(tmp_path / "archive")
        assert (kept.replayed, [*kept.faults, *kept.restarts]) == (2, [])


@pytest.mark.timeout(120)
def test_openfl_s_rest_server_carries_the_same(enrol: Callable[..., str], tmp_path: Path) -> None:
    for name in NAMES:
        enrol(name)
    enrol("aggregator", role="aggregator", segment="core")
    aggregator, port = GuardedAggregator(guard=guard(tmp_path), **settings(tmp_path, rounds=1)), free_port()
    plain = {"agg_addr": "127.0.0.1", "agg_port": port, "use_tls": False, "require_client_auth": False}
    server = threading.Thread(target=AggregatorRESTServer(aggregator, **plain).serve)
    server.start()
    begun = time.monotonic()
    while time.monotonic() - begun < 30.0:
        # Whoever comes before it listens is refused, and comes no more.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            break
        time.sleep(0.05)

    def connect(_: GuardedAggregator, name: str) -> AggregatorRESTClient:
        return AggregatorRESTClient(**plain, **UUIDS, collaborator_name=name)

    report = ended(aggregator, tmp_path, False, connect)
    server.join(30)
    assert [(one["pulled"], one["accepted"], one["drops"]) for one in report["rounds"]] == [(4, 4, [])]


@pytest.mark.timeout(120)
def test_rounds_in_which_nobody_is_let_in_end_with_the_weights_that_they_began_with(
    enrol: Callable[..., str], tmp_path: Path
) -> None:
    enrol("aggregator", role="aggregator", segment="core")
    aggregator = GuardedAggregator(guard=guard(tmp_path, linger_seconds=5.0), **settings(tmp_path))
    report = ended(aggregator, tmp_path, False)
    assert report["rounds"] == []
    assert {cause for _, cause, _ in report["drops"]} == {"declined"}
    after = aggregator.model_of(2)
    assert after.keys() == INITIAL.keys()
    assert all(np.array_equal(value, INITIAL[name]) for name, value in after.items())


def test_results_that_an_unguarded_run_kept_are_not_taken_for_accepted_ones(
    enrol: Callable[..., str], tmp_path: Path
) -> None:
    enrol("aggregator", role="aggregator", segment="core")
    path = str(tmp_path / "tensor.db")
    trained = [sent(name, value + 9.0, "trained").SerializeToString() for name, value in INITIAL.items()]
    PersistentTensorDB(path).save_task_results("site-0", 0, "train", 10, trained)
    kept = settings(tmp_path, persist_checkpoint=True, persistent_db_path=path)
    aggregator = GuardedAggregator(guard=guard(tmp_path), **kept)
    assert aggregator.collaborator_tasks_results == {}
    aggregator.guard.close()
