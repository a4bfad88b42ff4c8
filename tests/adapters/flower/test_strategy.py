"""A guarded strategy with real members at a real control plane: whatever a node does, the round ends in order."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian, Strategy

from adapters.client import SyncControlPlane
from adapters.credentials import Credentials, RoundTerms
from adapters.errors import Denied
from adapters.flower import GuardedStrategy
from adapters.guard import Guard, Member
from controlplane.jose.keys import DeviceKey
from tests.adapters.conftest import AUDIENCE
from tests.adapters.flower.local_grid import LocalGrid, Tamper
from tests.adapters.flower.nodes import SIZE, Federation, federated, honest, start_state
from tests.servers.ports import free_port
from tests.support import MODEL, ControlPlane

Enrol = Callable[..., Member]


@pytest.fixture
def federation(plane: ControlPlane, guard: Guard, tmp_path: Path) -> Federation:
    return federated(plane, guard, tmp_path)


def accepted(federation: Federation) -> int:
    assert len(federation.reports) == 1
    return federation.reports[0].accepted


def test_honest_nodes_move_the_model(federation: Federation) -> None:
    result = federation.run(rounds=3)
    assert [report.accepted for report in federation.reports] == [SIZE] * 3
    final = result.arrays.to_torch_state_dict()
    assert float(final["weight"].mean()) == pytest.approx(0.875, abs=0.05)
    assert result.train_metrics_clientapp[3]["loss"] == pytest.approx(0.5)


def test_a_guarded_round_of_honest_nodes_is_the_unguarded_one(federation: Federation) -> None:
    guarded = federation.run().arrays.to_torch_state_dict()
    states = [honest(number, start_state()) for number in range(SIZE)]
    torch.testing.assert_close(guarded["weight"], torch.stack([state["weight"] for state in states]).mean(dim=0))


def test_counters_stay_as_the_server_has_them(federation: Federation) -> None:
    final = federation.run(rounds=2).arrays
    assert final["steps"].numpy() == 7
    assert final["steps"].dtype == "int64"


@pytest.mark.parametrize("strategy", [FedMedian, FedAdam])
def test_any_strategy_can_be_wrapped(federation: Federation, strategy: type[Strategy]) -> None:
    result = federation.run(strategy(fraction_evaluate=0.0), rounds=2)
    assert [report.accepted for report in federation.reports] == [SIZE] * 2
    assert result.arrays["weight"].dtype == "float32"


def test_no_weights_travel_before_a_pull_held(federation: Federation) -> None:
    federation.run()
    kinds = [bool(message.content.array_records) for message in federation.grid.sent]
    assert kinds == [False] * SIZE + [False] * SIZE + [True] * SIZE


def test_nodes_are_asked_who_they_are_once(federation: Federation) -> None:
    federation.run(rounds=3)
    assert len(federation.grid.sent) == SIZE * (1 + 3 * 2)


def test_an_attacker_is_denied_and_then_gets_no_weights(federation: Federation) -> None:
    federation.trains[0] = lambda _, state: {
        name: value - 2 - torch.rand(value.shape) if value.is_floating_point() else value
        for name, value in state.items()
    }
    result = federation.run(rounds=5)
    assert [report.accepted for report in federation.reports] == [SIZE - 1] * 5
    apart = next(place for place, report in enumerate(federation.reports) if report.quarantined)
    assert len(federation.reports[apart].quarantined) == 1
    assert [[drop.point for drop in report.drops] for report in federation.reports[: apart + 1]] == [["gate"]] * (
        apart + 1
    )
    assert {(drop.point, drop.cause) for report in federation.reports[apart + 1 :] for drop in report.drops} == {
        ("pull", "declined")
    }
    assert float(result.arrays.to_torch_state_dict()["weight"].mean()) > 0.5


def test_a_node_without_enrolment_is_left_out(federation: Federation, tmp_path: Path) -> None:
    (tmp_path / "member-2" / "identity.json").unlink()
    federation.run()
    assert accepted(federation) == SIZE - 1
    assert federation.guard.report.drops["identify", "failed"] == 1
    assert 2 not in federation.received_weights()


def test_a_revoked_node_gets_no_weights(federation: Federation, plane: ControlPlane) -> None:
    with Member.open(federation.folder / "member-3") as member:
        plane.run(plane.services.registry.set_status(member.id, "revoked"))  # type: ignore[attr-defined]
    federation.run()
    assert accepted(federation) == SIZE - 1
    assert 3 not in federation.received_weights()


def test_a_node_that_is_revoked_while_it_trains_submits_nothing(federation: Federation, plane: ControlPlane) -> None:
    def revoked(partition: int, state: dict[str, Any]) -> dict[str, Any]:
        with Member.open(federation.folder / "member-3") as member:
            plane.run(plane.services.registry.set_status(member.id, "revoked"))  # type: ignore[attr-defined]
        return honest(partition, state)

    federation.trains[3] = revoked
    federation.run()
    assert accepted(federation) == SIZE - 1
    assert federation.guard.report.drops["gate", "declined"] == 1


def test_when_no_round_can_be_opened_nobody_gets_weights_and_the_run_goes_on(federation: Federation) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with SyncControlPlane(nobody, DeviceKey.generate()) as away:
        federation.guard = Guard(away, audience=AUDIENCE, model=MODEL, patience_seconds=0.2)
        result = federation.run(rounds=2)
    assert federation.guard.report.drops["seal", "unavailable"] == 2
    assert federation.received_weights() == set()
    assert not result.train_metrics_clientapp


def test_a_guard_that_may_not_open_rounds_ends_the_run_at_once(federation: Federation, enrol: Enrol) -> None:
    federation.guard = Guard(enrol("trainer").plane, audience=AUDIENCE, model=MODEL)
    with pytest.raises(Denied):
        federation.run()


def test_a_node_that_fails_is_left_out(federation: Federation) -> None:
    def fail(partition: int, state: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("out of memory")

    federation.trains[1] = fail
    federation.run()
    assert accepted(federation) == SIZE - 1
    assert federation.guard.report.drops["gate", "failed"] == 1


def test_a_node_that_does_not_answer_is_left_out(federation: Federation) -> None:
    federation.tamper[1] = lambda reply: None if reply.content.array_records else reply
    federation.run()
    assert accepted(federation) == SIZE - 1
    assert federation.guard.report.drops["gate", "absent"] == 1


def test_nobody_waits_for_ever_and_the_round_outlasts_the_wait(federation: Federation, plane: ControlPlane) -> None:
    federation.run(duration_seconds=40.0, query_timeout=5.0)
    assert federation.grid.timeouts[:3] == [5.0, 5.0, 40.0]
    opened = plane.run(plane.services.training.rounds.get(federation.reports[0].round_id))
    assert opened is not None
    assert opened.closes_at - opened.opens_at > 40.0 + 2 * 5.0


class Replaying(Member):
    """Keeps its first credentials to submit, and shows them for ever."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        kept = _KEPT.get(self.id)
        if kept is None:
            kept = _KEPT[self.id] = super().submit(terms, digest)
        return kept


_KEPT: dict[str, Credentials] = {}


def test_a_replayed_capability_is_refused_and_counted_on_both_sides(
    federation: Federation, plane: ControlPlane
) -> None:
    federation.kinds[4] = Replaying
    before = plane.metric("ztfm_capabilities_refused_total", cause="wrong_round")
    federation.run(rounds=2)
    assert [report.accepted for report in federation.reports] == [SIZE, SIZE - 1]
    assert [drop.cause for drop in federation.reports[1].drops] == ["wrong_round"]
    assert plane.metric("ztfm_capabilities_refused_total", cause="wrong_round") == before + 1


class Impostor(Member):
    """Says that it is somebody else."""

    def introduce(self, audience: str) -> Any:
        return replace(super().introduce(audience), subject="dev-" + "A" * 43)


class Relaying(Member):
    """Shows a pull of another device."""

    def pull(self, terms: RoundTerms) -> Credentials:
        with Member.open(_OTHER[0]) as other:
            return other.pull(terms)


_OTHER: list[Path] = []


def test_an_impostor_and_a_relay_are_left_out(federation: Federation) -> None:
    _OTHER[:] = [federation.folder / "member-0"]
    federation.kinds.update({2: Impostor, 3: Relaying})
    federation.run()
    assert accepted(federation) == SIZE - 2
    assert federation.guard.report.drops["identify", "wrong_subject"] == 1
    assert federation.guard.report.drops["pull", "wrong_subject"] == 1
    assert not {2, 3} & federation.received_weights()


def _with_arrays(change: Callable[[dict[str, Array]], dict[str, Array]]) -> Tamper:
    def tamper(reply: Message) -> Message:
        if reply.content.array_records:
            changed = ArrayRecord(change(dict(reply.content["arrays"])))
            reply.content = RecordDict({**reply.content, "arrays": changed})
        return reply

    return tamper


def _without(name: str) -> Tamper:
    def tamper(reply: Message) -> Message:
        if reply.content.array_records:
            reply.content = RecordDict({key: value for key, value in reply.content.items() if key != name})
        return reply

    return tamper


def _array(**changes: Any) -> Array:
    base = Array(np.ones(4, dtype=np.float32))
    return Array(**{"dtype": base.dtype, "shape": base.shape, "stype": base.stype, "data": base.data, **changes})


@pytest.mark.parametrize(
    "tamper",
    [
        _with_arrays(lambda arrays: {**arrays, "bias": _array(data=b"rubbish")}),
        _with_arrays(lambda arrays: {**arrays, "bias": _array(data=b"")}),
        _with_arrays(lambda arrays: {**arrays, "bias": _array(data=b"PK\x03\x04" + bytes(60))}),
        _with_arrays(lambda arrays: {**arrays, "bias": _array(stype="pickle")}),
        _with_arrays(lambda arrays: {**arrays, "bias": Array(np.ones(100_000, dtype=np.float32))}),
        _with_arrays(lambda arrays: {**arrays, "bias": Array(np.ones(4, dtype=">f4"))}),
        _with_arrays(lambda arrays: {**arrays, "bias": Array(np.array(["a", "b", "c", "d"]))}),
        _with_arrays(lambda arrays: {**arrays, "bias": Array(np.full(4, np.nan, dtype=np.float32))}),
        _with_arrays(lambda arrays: {"bias": arrays["bias"]}),
        _with_arrays(lambda arrays: {**arrays, "extra": arrays["bias"]}),
        _with_arrays(lambda _: {}),
        _without("metrics"),
        _without("ztfm"),
        _without("arrays"),
    ],
    ids=[
        "rubbish",
        "no bytes",
        "an archive",
        "pickle",
        "huge",
        "big endian",
        "text",
        "nan",
        "one array",
        "another array",
        "no arrays",
        "no metrics",
        "no credentials",
        "no record",
    ],
)
def test_a_reply_that_was_changed_is_dropped_and_the_round_goes_on(federation: Federation, tamper: Tamper) -> None:
    federation.tamper[5] = tamper
    result = federation.run()
    assert accepted(federation) == SIZE - 1
    assert bool(torch.isfinite(result.arrays.to_torch_state_dict()["weight"]).all())


@pytest.mark.parametrize(
    "metrics",
    [{}, {"num-examples": -5}, {"num-examples": float("nan")}, {"num-examples": [20, 20]}, {"num-examples": 1e30}],
    ids=str,
)
def test_a_claim_that_is_no_number_of_examples_is_dropped(federation: Federation, metrics: dict[str, Any]) -> None:
    federation.metrics[5] = metrics
    federation.run()
    assert accepted(federation) == SIZE - 1


@pytest.mark.parametrize(
    "metrics",
    [
        {"num-examples": 20},
        {"num-examples": 20, "loss": float("nan")},
        {"num-examples": 20, "loss": [1.0, 2.0]},
        {"num-examples": 20, "loss": 0.5, "more": 1},
    ],
    ids=str,
)
def test_metrics_that_differ_stop_nothing(federation: Federation, metrics: dict[str, Any]) -> None:
    federation.metrics[5] = metrics
    result = federation.run()
    assert accepted(federation) == SIZE
    assert "more" not in result.train_metrics_clientapp[1]


def test_when_nothing_is_accepted_the_model_stays_and_the_run_goes_on(federation: Federation) -> None:
    for number in range(SIZE):
        federation.tamper[number] = _without("ztfm")
    result = federation.run(rounds=2)
    assert [report.accepted for report in federation.reports] == [0, 0]
    assert not result.train_metrics_clientapp


def test_without_a_single_pull_nobody_trains_and_the_run_goes_on(federation: Federation) -> None:
    for number in range(SIZE):
        federation.tamper[number] = lambda _: None
    federation.run(rounds=2)
    assert federation.received_weights() == set()
    assert federation.guard.report.drops["identify", "absent"] == 2 * SIZE


def test_evaluation_asks_for_pulls_of_its_own_and_survives_odd_metrics(federation: Federation) -> None:
    federation.metrics[5] = {"num-examples": float("inf"), "loss": float("nan")}
    federation.metrics[4] = {"num-examples": 20, "loss": 0.25}
    result = federation.run(FedAvg(), rounds=1)
    assert federation.guard.report.pulls["allowed"] == 2 * SIZE
    assert 1 in result.evaluate_metrics_clientapp


def test_credentials_that_ran_out_while_others_trained_are_asked_for_again(
    plane: ControlPlane, federation: Federation
) -> None:
    offset = 0.0

    def clock() -> float:
        return time.time() + offset

    def slow(partition: int, state: dict[str, Any]) -> dict[str, Any]:
        nonlocal offset
        offset = 115.0
        return honest(partition, state)

    guard = Guard(federation.guard._plane, audience=AUDIENCE, model=MODEL, clock=clock)
    federation.guard = guard
    federation.trains[SIZE - 1] = slow
    federation.run()
    assert accepted(federation) == SIZE
    asked = [message.content["ztfm"]["stage"] for message in federation.grid.sent]
    assert asked.count("submit") == SIZE


def test_a_strategy_that_sends_different_weights_is_refused(federation: Federation) -> None:
    class Uneven(FedAvg):  # type: ignore[misc]
        def configure_train(self, *arguments: Any, **options: Any) -> list[Message]:
            messages = list(super().configure_train(*arguments, **options))
            other = ArrayRecord({name: tensor + 1 for name, tensor in start_state().items()})
            messages[0].content = RecordDict({"arrays": other, "config": ConfigRecord()})
            return messages

    with pytest.raises(ValueError, match="same weights"):
        federation.run(Uneven(fraction_evaluate=0.0))


def test_a_node_does_not_train_on_weights_that_are_not_the_rounds(federation: Federation) -> None:
    class Forging(GuardedStrategy):
        def configure_train(self, *arguments: Any, **options: Any) -> list[Message]:
            messages = list(super().configure_train(*arguments, **options))
            forged = ArrayRecord({name: tensor + 1 for name, tensor in start_state().items()})
            for message in messages:
                message.content = RecordDict({**message.content, "arrays": forged})
            return messages

    grid = LocalGrid(federation.app(), SIZE)
    Forging(FedAvg(fraction_evaluate=0.0), federation.guard).start(grid, ArrayRecord(start_state()), num_rounds=1)
    assert federation.guard.report.drops["gate", "declined"] == SIZE


def test_the_mod_passes_on_nothing_that_belongs_to_no_round(federation: Federation) -> None:
    grid = LocalGrid(federation.app(), SIZE)
    result = FedAvg(fraction_evaluate=0.0)
    messages = list(result.configure_train(1, ArrayRecord(start_state()), ConfigRecord(), grid))
    replies = grid.send_and_receive(messages)
    assert {reply.content["ztfm"]["declined"] for reply in replies} == {"unguarded"}
