"""Single parts, with NVFLARE's own around them: run by the interpreter of its environment (`make test-backends`)."""

import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nvflare")

from hypothesis import given
from hypothesis import strategies as st
from nvflare.apis.client import Client
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import EventScope, FLContextKey, FLMetaKey, ReturnCode
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.fl_exception import NotAuthenticated
from nvflare.apis.shareable import ReservedHeaderKey, Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.apis.utils.event import fire_event_to_components
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.utils.fl_model_utils import FLModelUtils
from nvflare.fuel.common.exit_codes import ProcessExitCode
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey
from nvflare.fuel.f3.cellnet.defs import ReturnCode as CellReturnCode
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellChannel, CellChannelTopic, ClientType
from nvflare.private.fed.server.server_runner import ServerRunner, ServerRunnerConfig
from nvflare.private.fed.server.site_security import SiteSecurity

from adapters.credentials import IDENTIFY, subject_of, target
from adapters.guard import Gated, Ruling
from adapters.nvflare import CommandCheck, GuardPoint, MemberFilter, Registration, ReleaseFilter
from adapters.nvflare.gating import Arrived, Read, Ruled, read_result, replies
from adapters.nvflare.point import OpenRound
from adapters.nvflare.questions import CARRIED, TOPIC, asking, message
from adapters.nvflare.registering import PROPERTY
from adapters.nvflare.sturdy import keep_running
from adapters.nvflare.weights import claimed, common_metrics, in_kind, read_untrusted, update_of
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey

pytestmark = pytest.mark.backends

AUDIENCE = "aggregator-1"
RECEIVED = {"a": torch.ones(2), "count": torch.tensor(3)}

hostile = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.floats(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
    st.just(np.array([object()])),
    st.just(np.array(["text"])),
    st.just(np.array([1 + 2j])),
    st.just(torch.zeros(2).to_sparse()),
    st.just(torch.zeros(2, device="meta")),
    st.just(torch.zeros(3)),
    st.just(np.zeros(2, dtype=np.float32)[::-1]),
)


class Engine:
    """What these parts ask of an engine: it fires events, and knows a component."""

    def __init__(self, *components: FLComponent, found: object = None, replies: Any = None) -> None:
        self.components = list(components)
        self.found = found
        self.replies = replies or []
        self.contexts = FLContextManager(engine=self, identity_name="server", job_id="job")

    def new_context(self) -> FLContext:
        return self.contexts.new_context()

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None:
        fire_event_to_components(event_type, self.components, fl_ctx)

    def get_workspace(self) -> object:
        return SimpleNamespace(get_root_dir=lambda: "/nowhere")

    def get_component(self, name: str) -> object:
        return self.found

    def register_aux_message_handler(self, topic: str, message_handle_func: object) -> None:
        pass

    def send_aux_request(self, targets: list[str], **_: object) -> object:
        reply = self.replies.pop(0)
        return reply(targets) if callable(reply) else reply


@given(st.dictionaries(st.text(), hostile), st.sampled_from([DataKind.WEIGHTS.value, DataKind.WEIGHT_DIFF.value]))
def test_whatever_a_site_sends_becomes_an_update_or_none_and_never_raises(params: dict[str, Any], kind: str) -> None:
    update = update_of(kind, read_untrusted(params), {"a": RECEIVED["a"]})
    assert set(update) <= set(params)
    assert all(value is None or isinstance(value, torch.Tensor) for value in update.values())


def test_trained_weights_and_a_difference_are_the_same_update() -> None:
    weights = {"a": RECEIVED["a"]}
    trained = update_of(DataKind.WEIGHTS.value, read_untrusted({"a": np.full(2, 3.0, np.float32)}), weights)
    step = update_of(DataKind.WEIGHT_DIFF.value, read_untrusted({"a": torch.full((2,), 2.0)}), weights)
    assert torch.equal(trained["a"], step["a"])  # type: ignore[arg-type]


def test_an_aggregation_keeps_types_counters_and_names() -> None:
    sent = {"a": np.ones(2, np.float32), "count": np.array(3), "b": np.zeros(1, np.float32)}
    made = in_kind({"a": np.full(2, 5.0, np.float64), "count": np.array(3.5), "new": np.zeros(1)}, sent)
    assert made["a"].dtype == np.float32 and made["a"].tolist() == [5.0, 5.0]
    assert (int(made["count"]), made["b"].tolist(), list(made)) == (3, [0.0], ["a", "count", "b"])


@given(st.lists(st.one_of(st.none(), st.dictionaries(st.sampled_from("xyz"), hostile)), max_size=4))
def test_metrics_that_are_left_are_finite_and_common(found: list[object]) -> None:
    kept = common_metrics(found)
    assert len(kept) == len(found)
    assert len({tuple(one) for one in kept}) <= 1
    assert all(math.isfinite(value) for one in kept for value in one.values())


def test_a_whole_number_that_no_float_holds_is_no_metric_and_no_claim() -> None:
    assert common_metrics([{"loss": 10**400, "accuracy": np.float32(0.5), "odd": np.complex64(1)}]) == [
        {"accuracy": 0.5}
    ]
    assert claimed({"steps": 10**400}, "steps") == 0


@pytest.mark.parametrize("claim", [None, True, -1, math.nan, math.inf, "12", [1]])
def test_a_claim_that_is_no_number_of_examples_counts_nothing(claim: object) -> None:
    assert claimed({"steps": claim}, "steps") == 0


def _shareable(headers: object) -> Shareable:
    found = Shareable()
    found[ReservedHeaderKey.HEADERS] = headers
    return found


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (None, "failed"),
        ("text", "failed"),
        (Shareable(), "malformed"),
        (_shareable("no headers"), "malformed"),
        (make_reply(ReturnCode.EXECUTION_EXCEPTION), "failed"),
        (make_reply(ReturnCode.UNSAFE_JOB), "failed"),
        (DXO(DataKind.METRICS, {"accuracy": 1.0}).to_shareable(), "malformed"),
        (DXO(DataKind.COLLECTION, {}).to_shareable(), "malformed"),
    ],
)
def test_a_result_that_is_no_update_is_named_and_never_raises(result: object, why: str) -> None:
    assert read_result(result) == why


def test_a_site_that_declines_is_told_from_one_that_fails() -> None:
    reply = make_reply(ReturnCode.EMPTY_RESULT)
    reply[CARRIED] = {"declined": "denied"}
    assert read_result(reply) == "declined"


def test_weights_without_a_table_are_an_update_without_tensors() -> None:
    read = read_result(DXO(DataKind.WEIGHTS, {"a": "text"}).to_shareable())
    assert isinstance(read, Read) and read.params == {"a": None}


SENT = {"a": np.ones(2, np.float32), "count": np.array(3)}


def _ended(kind: str, method: str = "mean", **rulings: Ruling) -> dict[str, FLModel]:
    """Return what the controller is handed of a round in which these sites sent something, by site."""
    sealed = SimpleNamespace(aggregation=method)
    opened = OpenRound(sealed, SENT, dict.fromkeys(rulings, "one"))  # type: ignore[arg-type]
    task = SimpleNamespace(data=make_reply(ReturnCode.OK, {AppConstants.CURRENT_ROUND: 4}))
    meta = {FLMetaKey.INITIAL_METRICS: {"accuracy": 0.5, "secret": "text"}, "smuggled": 1}
    arrived = {
        site: Arrived(
            SimpleNamespace(task=task, result=None),
            Engine().new_context(),
            DXO(kind, {"a": np.full(2, 9.0, np.float32)}, meta=meta).to_shareable(),
        )
        for site in rulings
    }
    ruled = Ruled(Gated(tuple(rulings.values())), rulings)
    found = replies(opened, ruled, arrived, {"a": torch.full((2,), 7.0)})
    sites = [site for site, ruling in rulings.items() if ruling.accepted]
    return {site: FLModelUtils.from_shareable(one.client_task.result) for site, one in zip(sites, found, strict=True)}


def _ruling(accepted: bool = True) -> Ruling:
    update = {"a": torch.full((2,), 0.5)} if accepted else None
    return Ruling("one", accepted=accepted, cause="" if accepted else "replayed", update=update, weight=12)


def test_the_controller_is_handed_what_was_ruled_and_nothing_that_came_beside_it() -> None:
    (model,) = _ended(DataKind.WEIGHTS, site=_ruling()).values()
    assert model.params["a"].tolist() == [1.5, 1.5] and int(model.params["count"]) == 3
    assert (model.metrics, model.current_round) == ({"accuracy": 0.5}, 4)
    assert model.meta == {FLMetaKey.NUM_STEPS_CURRENT_ROUND: 12, FLMetaKey.INITIAL_METRICS: {"accuracy": 0.5}}


def test_a_difference_stays_a_difference() -> None:
    (model,) = _ended(DataKind.WEIGHT_DIFF, site=_ruling()).values()
    assert (model.params_type, {name: value.tolist() for name, value in model.params.items()}) == (
        ParamsType.DIFF,
        {"a": [0.5, 0.5]},
    )


@pytest.mark.parametrize(("kind", "value"), [(DataKind.WEIGHTS, 7.0), (DataKind.WEIGHT_DIFF, 6.0)])
def test_where_policy_picks_another_way_than_the_mean_each_result_bears_what_came_of_it(
    kind: str, value: float
) -> None:
    models = _ended(kind, "trimmed_mean", first=_ruling(), second=_ruling())
    assert [model.params["a"].tolist() for model in models.values()] == [[value, value]] * 2


def test_of_two_sites_with_one_subject_the_one_that_was_accepted_counts() -> None:
    assert list(_ended(DataKind.WEIGHTS, first=_ruling(), second=_ruling(accepted=False))) == ["first"]


@pytest.mark.parametrize("command", ["cat", "grep", "call", "", None, ["submit_job"]])
def test_a_site_answers_no_for_a_command_that_is_not_listed(command: object) -> None:
    engine = Engine(CommandCheck())
    authorized, reason = SiteSecurity().authorization_check(engine, command, engine.new_context())
    assert (authorized, bool(reason)) == (False, True)


def test_a_site_takes_part_in_jobs_by_the_commands_that_are_listed() -> None:
    engine = Engine(CommandCheck())
    for command in ("submit_job", "check_resources", "abort_job"):
        assert SiteSecurity().authorization_check(engine, command, engine.new_context()) == (True, "")
    assert not SiteSecurity().authorization_check(
        Engine(CommandCheck(["abort_job"])), "submit_job", engine.new_context()
    )[0]


def _introduced(key: DeviceKey, **changes: str) -> dict[str, str]:
    proof = make_proof(key, method=IDENTIFY, url=target(AUDIENCE, ""), now=time.time())
    return {"subject": subject_of(key.thumbprint), "proof": proof, **changes}


def _registers(component: Registration, shown: object, name: str = "site-1", kind: str = ClientType.REGULAR) -> bool:
    """Whether NVFLARE would go on with the registration."""
    engine = Engine(component)
    fl_ctx, peer = engine.new_context(), FLContextManager(identity_name=name).new_context()
    peer.set_prop(PROPERTY, shown, private=False, sticky=False)
    fl_ctx.set_peer_context(peer)
    fl_ctx.set_prop(FLContextKey.CLIENT_TYPE, kind, private=False, sticky=False)
    engine.fire_event(EventType.CLIENT_REGISTER_RECEIVED, fl_ctx)
    raised = fl_ctx.get_prop(FLContextKey.EXCEPTIONS) or {}
    return not any(isinstance(one, NotAuthenticated) for one in raised.values())


def test_a_client_registers_with_its_own_key_once() -> None:
    component, shown = Registration(AUDIENCE), _introduced(DeviceKey.generate())
    assert _registers(component, shown)
    assert not _registers(component, shown)


@pytest.mark.parametrize("shown", [None, "text", {}, {"subject": 1, "proof": 2}, {"subject": "x", "proof": "y.z"}])
def test_a_client_without_an_introduction_is_not_registered(shown: object) -> None:
    assert not _registers(Registration(AUDIENCE), shown)


def test_a_client_is_not_registered_under_the_name_of_another() -> None:
    key, other = DeviceKey.generate(), DeviceKey.generate()
    assert not _registers(Registration(AUDIENCE), _introduced(key, subject=subject_of(other.thumbprint)))
    bound = Registration(AUDIENCE, members={"site-1": subject_of(key.thumbprint)})
    assert not _registers(bound, _introduced(key), name="site-2")
    assert not _registers(bound, _introduced(other))
    assert _registers(bound, _introduced(key))


def _runner(engine: Engine, told: list[str]) -> ServerRunner:
    config = ServerRunnerConfig(60, 0.5, [], {}, {}, handlers=[], components={})
    runner = ServerRunner(config, "job", engine)
    keep_running(runner, told.append)
    runner.status = "started"
    engine.components.append(runner)
    return runner


@pytest.mark.parametrize(("scope", "status"), [(EventScope.FEDERATION, "started"), (EventScope.LOCAL, "done")])
def test_a_fatal_error_ends_the_job_only_when_the_server_raised_it(scope: str, status: str) -> None:
    told: list[str] = []
    engine = Engine()
    runner = _runner(engine, told)
    fl_ctx = engine.new_context()
    fl_ctx.set_prop(FLContextKey.EVENT_SCOPE, scope, private=True, sticky=False)
    engine.fire_event(EventType.FATAL_SYSTEM_ERROR, fl_ctx)
    assert (runner.status, bool(told)) == (status, status == "started")


@pytest.mark.parametrize("code", [ReturnCode.UNSAFE_JOB, ReturnCode.TASK_UNKNOWN, ReturnCode.RUN_MISMATCH])
def test_no_return_code_of_a_site_ends_the_job(code: str) -> None:
    taken: list[Shareable] = []
    engine = Engine()
    runner = _runner(engine, [])
    communicator = SimpleNamespace(
        client_is_active=lambda *_: None, process_submission=lambda result, **_: taken.append(result)
    )
    runner.current_wf = SimpleNamespace(id="w", controller=SimpleNamespace(communicator=communicator))
    fl_ctx = engine.new_context()
    fl_ctx.set_peer_context(FLContextManager(identity_name="site-1", job_id="job").new_context())
    runner.process_submission(Client("site-1", "token"), "train", "task", make_reply(code), fl_ctx)
    assert (runner.status, len(taken)) == ("started", 1)


@pytest.mark.parametrize("code", [ProcessExitCode.EXCEPTION, ProcessExitCode.UNSAFE_COMPONENT, 9, None, "odd"])
def test_what_a_site_says_of_its_own_process_ends_no_job_and_is_taken_in_as_its_end(code: object) -> None:
    callbacks: dict[tuple[str, str], Any] = {}
    taken: list[object] = []
    cell = SimpleNamespace(register_request_cb=lambda channel, topic, cb: callbacks.update({(channel, topic): cb}))
    runner = SimpleNamespace(fail_run=lambda *_: pytest.fail("a site's word ends the job"))
    server = SimpleNamespace(
        cell=cell,
        engine=SimpleNamespace(job_runner=runner),
        process_job_failure=lambda request: taken.append(request.payload),
    )
    engine = Engine()
    engine.server = server  # type: ignore[attr-defined]
    Registration(AUDIENCE).handle_event(EventType.SYSTEM_START, engine.new_context())
    judge = callbacks[CellChannel.SERVER_MAIN, CellChannelTopic.REPORT_JOB_FAILURE]
    judge(SimpleNamespace(payload={"job_id": "job", "code": code, "reason": "because"}))
    judge(SimpleNamespace(payload="garbage"))
    assert taken == [{"job_id": "job", "code": 0, "reason": "because"}, "garbage"]
    # What NVFLARE asks for where a site is gone, and says nothing.
    assert runner.fail_run("job", ProcessExitCode.INFRASTRUCTURE_ERROR, None) == ""


@pytest.mark.parametrize("round_id", ["", "other"])
def test_weights_of_no_open_round_leave_without_their_content(round_id: str) -> None:
    released = _released(GuardPoint(AUDIENCE, "model"), {CARRIED: {"round_id": round_id}})
    assert set(released) == {ReservedHeaderKey.HEADERS}
    assert released.get_header("kept") == 1


def test_weights_leave_for_a_site_whose_pull_held_and_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    point = GuardPoint(AUDIENCE, "model")
    standing = SimpleNamespace(sealed=SimpleNamespace(terms=SimpleNamespace(round_id="r")), subjects={"site-1": "x"})
    monkeypatch.setattr(point, "_standing", standing)
    meta = {CARRIED: {"round_id": "r"}}
    assert "DXO" in _released(point, meta)
    assert "DXO" not in _released(point, meta, site="site-2")
    monkeypatch.setattr(point, "_standing", None)
    assert "DXO" not in _released(point, meta)


def test_weights_do_not_leave_where_there_is_no_point() -> None:
    assert "DXO" not in _released(None, {CARRIED: {"round_id": "r"}})


def _released(point: object, meta: dict[str, Any], site: str = "site-1") -> Shareable:
    engine = Engine(found=point)
    fl_ctx = engine.new_context()
    assigned = SimpleNamespace(client=Client(site, "token"))
    communicator = SimpleNamespace(process_task_check=lambda task, context: assigned if task == "task" else None)
    runner = SimpleNamespace(current_wf=SimpleNamespace(controller=SimpleNamespace(communicator=communicator)))
    fl_ctx.set_prop(FLContextKey.RUNNER, runner, private=True, sticky=True)
    fl_ctx.set_prop(FLContextKey.TASK_ID, "task", private=True, sticky=False)
    data = DXO(DataKind.WEIGHTS, {"a": np.ones(2)}, meta=meta).to_shareable()
    data.set_header("kept", 1)
    return ReleaseFilter().process(data, fl_ctx)


def test_a_site_sends_no_result_of_a_round_that_is_not_sealed() -> None:
    engine, site = Engine(), MemberFilter()
    fl_ctx = engine.new_context()
    for name, value in ((FLContextKey.TASK_ID, "t"), (FLContextKey.TASK_DATA, _data({}))):
        fl_ctx.set_prop(name, value, private=True, sticky=False)
    site.handle_event(EventType.BEFORE_TASK_EXECUTION, fl_ctx)
    sent = site.process(_data({}), fl_ctx)
    assert sent.get_return_code() == ReturnCode.EMPTY_RESULT
    assert read_result(sent) == "declined" and "DXO" not in sent


def test_a_site_sends_no_result_of_other_weights_than_the_round_names() -> None:
    engine, site = Engine(), MemberFilter()
    fl_ctx = engine.new_context()
    task = _data({CARRIED: {"round_id": "r", "model_digest": "sha256:" + "0" * 64}})
    for name, value in ((FLContextKey.TASK_ID, "t"), (FLContextKey.TASK_DATA, task)):
        fl_ctx.set_prop(name, value, private=True, sticky=False)
    site.handle_event(EventType.BEFORE_TASK_EXECUTION, fl_ctx)
    sent = site.process(_data({}), fl_ctx)
    assert sent[CARRIED] == {"declined": "wrong_digest"}


@pytest.mark.parametrize(
    ("origin", "is_answered"),
    [("server.job", True), ("server", True), ("site-2.job", False), ("site-2.server", False), (None, False)],
)
def test_a_site_answers_the_server_alone(origin: str | None, is_answered: bool, tmp_path: Path) -> None:
    heard: dict[str, Any] = {}
    cell = SimpleNamespace(register_request_cb=lambda channel, topic, cb: heard.update({topic: cb}))
    engine, site = Engine(), MemberFilter(str(tmp_path))
    engine.get_cell = lambda: cell  # type: ignore[attr-defined]
    site.handle_event(EventType.START_RUN, engine.new_context())
    question = Message({MessageHeaderKey.ORIGIN: origin}, message({"stage": "identify", "audience": AUDIENCE}))
    reply = heard[TOPIC](question)
    assert (reply.get_header(MessageHeaderKey.RETURN_CODE) == CellReturnCode.OK) is is_answered
    assert (CARRIED in (reply.payload or {})) is is_answered


def _data(meta: dict[str, Any]) -> Shareable:
    return DXO(DataKind.WEIGHTS, {"a": np.ones(2, np.float32)}, meta=meta).to_shareable()


def test_sites_that_cannot_be_reached_yet_are_asked_again_and_others_are_not() -> None:
    asked: list[list[str]] = []

    def late(targets: list[str]) -> dict[str, Shareable]:
        asked.append(targets)
        return {"b": message({"x": "2"}), "stranger": message({"x": "3"})}

    first = {"a": message({"x": "1"}), "b": make_reply(ReturnCode.TOPIC_UNKNOWN)}
    engine = Engine(replies=[None, first, late])
    assert asking(_running(engine), 5.0, sleep=lambda _: None)(["a", "b"], {}) == {"a": {"x": "1"}, "b": {"x": "2"}}
    assert asked == [["b"]]


@pytest.mark.parametrize("reply", [None, "text", Shareable(), Shareable({CARRIED: "text"}), _shareable("text")])
def test_an_answer_that_is_none_carries_nothing(reply: object) -> None:
    engine = Engine(replies=[{"a": reply}] + [{}] * 100_000)
    assert not asking(_running(engine), 0.05)(["a"], {}).get("a")


def test_nobody_is_asked_once_the_job_was_aborted() -> None:
    signal = Signal()
    signal.trigger(True)
    engine = Engine(replies=[{"a": message({"x": "1"})}])
    assert asking(_running(engine, signal), 5.0)(["a"], {}) == {}


def _running(engine: Engine, signal: Signal | None = None) -> FLContext:
    fl_ctx = engine.new_context()
    fl_ctx.set_prop(FLContextKey.RUN_ABORT_SIGNAL, signal or Signal(), private=True, sticky=False)
    return fl_ctx
