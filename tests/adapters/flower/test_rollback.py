"""Rollbacks of a Flower job: the wrapped strategy goes on from the rebuilt arrays, whatever it remembered."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import (
    DifferentialPrivacyServerSideFixedClipping,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    Strategy,
)

from adapters.aggregation import aggregate
from adapters.flower.settling import settle
from adapters.guard import Guard, Member, RoundReport, SealedRound
from adapters.rollback import DeltaArchive, verify
from tests.adapters.conftest import AUDIENCE
from tests.adapters.flower.nodes import SIZE, Federation, federated, start_state
from tests.support import MODEL, ControlPlane

ATTACKER = 5
_TIMES = count()


def steady(partition: int, state: dict[str, Any]) -> dict[str, Any]:
    """Move every weight up by a tenth, with noise of the node's own, another one each time."""
    noise = torch.Generator().manual_seed(1000 * partition + next(_TIMES))
    moved = {
        name: value + 0.1 * (1 + 0.1 * torch.randn(value.shape, generator=noise))
        for name, value in state.items()
        if value.is_floating_point()
    }
    return {**moved, "steps": state["steps"] + 1}


def planting(partition: int, state: dict[str, Any]) -> dict[str, Any]:
    """Train as everybody does, and pull one row somewhere of one's own."""
    trained = steady(partition, state)
    trained["weight"][0] += torch.tensor([0.05, -0.02, 0.01])
    return trained


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def operator(enrol: Callable[..., Member]) -> Member:
    return enrol("operator")


@pytest.fixture
def federation(
    plane: ControlPlane, enrol: Callable[..., Member], tmp_path: Path, folder: Path, operator: Member
) -> Iterator[Federation]:
    """A federation that archives, with an attacker; after the second round an operator has it undone."""
    aggregator = enrol("aggregator")
    with DeltaArchive(folder, aggregator.key) as archive:
        guard = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, archive=archive, patience_seconds=0.5)
        made = federated(plane, guard, tmp_path)
        made.trains = {node: planting if node == ATTACKER else steady for node in range(SIZE)}
        yield made


def name_of(federation: Federation) -> str:
    with Member.open(federation.folder / f"member-{ATTACKER}") as member:
        return member.id


def run(federation: Federation, operator: Member, strategy: Strategy, **options: Any) -> Any:
    """Run four rounds; in the third it is ordered that what the attacker contributed be undone."""
    subject = name_of(federation)

    def order(_: int, report: RoundReport) -> None:
        federation.reports.append(report)
        if len(federation.reports) == 2:
            operator.plane.order_rollback(federation.reports[0].round_id, [subject], "It planted something.")

    federation.on_round = order
    return federation.run(strategy, rounds=4, **options)


def recomputed(folder: Path, without: str) -> dict[str, torch.Tensor]:
    """What `FedAvg` makes of the archived rounds without one subject, computed beside the archive."""
    with DeltaArchive(folder) as archive:
        state: dict[str, Any] = {name: value for name, value in start_state().items() if value.is_floating_point()}
        for number, entry in archive._entries.items():
            if entry.kind != "round":
                continue
            kept = [(i, one) for i, one in enumerate(entry.updates) if one.subject != without]
            total = sum(one.weight for _, one in kept)
            models = [
                ({n: state[n] + t for n, t in archive._folder.update(number, i, one.content).items()}, one.weight)
                for i, one in kept
            ]
            for name in state:
                average = models[0][0][name].numpy() * (models[0][1] / total)
                for model, weight in models[1:]:
                    average += model[name].numpy() * (weight / total)
                state[name] = torch.from_numpy(np.asarray(average))
    return state


def test_the_next_round_begins_with_the_model_without_the_attacker(
    federation: Federation, operator: Member, folder: Path
) -> None:
    result = run(federation, operator, FedAvg(fraction_evaluate=0.0))
    (done,) = federation.reports[2].rollbacks
    assert (done.result.state, done.result.rounds, done.is_told) == ("done", 3, True)
    found = verify(folder)
    assert found.holds, found.faults
    assert (found.replayed, found.not_replayable, found.restarts) == (4, (), ())
    rounds = [entry for entry in found.entries if entry.kind == "round"]
    rollback = next(entry for entry in found.entries if entry.kind == "rollback")
    subject = name_of(federation)
    contributed = sum(one.subject == subject for entry in rounds[:3] for one in entry.updates)
    assert 1 <= contributed == done.result.left_out
    assert rounds[3].weights_before == rollback.weights_after == done.result.model_digest
    final = result.arrays.to_torch_state_dict()
    assert int(final["steps"]) == 7


def test_the_rebuilt_arrays_are_the_ones_that_flower_makes_without_the_attacker(
    federation: Federation, operator: Member, folder: Path
) -> None:
    subject = name_of(federation)
    stopped: list[dict[str, torch.Tensor]] = []

    def restore(strategy: Strategy, arrays: ArrayRecord) -> None:
        stopped.append(arrays.to_torch_state_dict())

    run(federation, operator, FedAvg(fraction_evaluate=0.0), restore=restore)
    with DeltaArchive(folder) as archive:
        fourth = archive.standings()[3].entry
        rebuilt = archive.weights(fourth.weights_before)
    (given,) = stopped
    assert all(torch.equal(given[name], rebuilt[name]) for name in rebuilt)
    # The fourth round came after it.
    shutil.rmtree(folder / "entries/00000004")
    expected = recomputed(folder, subject)
    assert all(torch.equal(rebuilt[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("strategy", "dropped"),
    [
        (FedAvgM(fraction_evaluate=0.0, server_learning_rate=0.7), False),
        (FedAvgM(fraction_evaluate=0.0, server_momentum=0.5), True),
        (FedAdam(fraction_evaluate=0.0, eta=0.05), True),
        (FedMedian(fraction_evaluate=0.0), True),
    ],
    ids=["rate", "momentum", "adam", "median"],
)
def test_what_cannot_be_done_again_falls_back_and_the_strategy_goes_on_from_there(
    federation: Federation, operator: Member, folder: Path, strategy: Strategy, dropped: bool
) -> None:
    result = run(federation, operator, strategy)
    (done,) = federation.reports[2].rollbacks
    assert done.result.state == "done"
    assert ("cannot be done again" in done.result.fault) == dropped
    found = verify(folder)
    assert found.holds, found.faults
    assert found.restarts == ()
    entries = [entry for entry in found.entries if entry.kind == "round"]
    rollback = next(entry for entry in found.entries if entry.kind == "rollback")
    # The first round of a momentum or of a median may be what an average gives too; from the second on it is not.
    assert bool(rollback.dropped) == dropped
    assert entries[3].weights_before == rollback.weights_after
    # The fourth round moved the rebuilt arrays, and not those that the strategy remembered.
    final = result.arrays.to_torch_state_dict()["weight"]
    with DeltaArchive(folder) as archive:
        before = archive.weights(entries[3].weights_before)["weight"]
    assert float((final - before).abs().max()) < 1.0
    assert float((1 - final).abs().mean()) < float((1 - before).abs().mean())


def test_a_job_that_gives_no_rounds_up_keeps_its_model_and_the_order_fails(
    federation: Federation, operator: Member
) -> None:
    undoing = federation.guard._undoing
    assert undoing is not None
    undoing._may_drop = False
    run(federation, operator, FedMedian(fraction_evaluate=0.0))
    (done,) = federation.reports[2].rollbacks
    assert done.result.state == "failed"
    assert "does not give them up" in done.result.fault
    assert [entry.kind for entry in undoing.archive.entries] == ["round"] * 4


class Picking(Guard):
    """A guard whose rounds are opened by a policy that picks another aggregation."""

    def seal(self, *given: Any, **options: Any) -> SealedRound:
        return replace(super().seal(*given, **options), aggregation="trimmed_mean")


@pytest.mark.parametrize("strategy", [FedAvg(fraction_evaluate=0.0), FedMedian(fraction_evaluate=0.0)])
def test_the_aggregation_that_policy_picked_is_what_comes_out_of_any_strategy(
    federation: Federation, folder: Path, strategy: Strategy
) -> None:
    federation.guard.__class__ = Picking
    result = federation.run(strategy)
    with DeltaArchive(folder) as archive:
        (standing,) = archive.standings()
        entry = standing.entry
        sent = [archive._folder.update(0, place, one.content) for place, one in enumerate(entry.updates)]
    assert entry.recipe is not None
    assert entry.recipe.method == "trimmed_mean"
    assert verify(folder).holds
    step = aggregate("trimmed_mean", sent, [1] * len(sent))
    final = result.arrays.to_torch_state_dict()
    for name, tensor in step.items():
        torch.testing.assert_close(final[name], (start_state()[name].double() + tensor).float())
    assert result.train_metrics_clientapp[1]["loss"] == pytest.approx(0.5)


def test_a_strategy_is_settled_with_all_that_it_wraps() -> None:
    arrays = ArrayRecord({"weight": Array(np.ones(3, dtype=np.float32))})
    inner = FedAvgM(server_momentum=0.9)
    inner.current_arrays = ArrayRecord({"weight": Array(np.zeros(3, dtype=np.float32))})
    inner.momentum_vector = [np.ones(3)]
    settle(DifferentialPrivacyServerSideFixedClipping(inner, 0.0, 1.0, 2), arrays)
    assert inner.momentum_vector is None
    assert inner.current_arrays is not None
    assert inner.current_arrays["weight"].numpy().tolist() == [1.0, 1.0, 1.0]
    adam = FedAdam()
    adam.m_t = adam.v_t = {"weight": np.ones(3)}
    settle(adam, arrays)
    assert adam.m_t is adam.v_t is None
    assert adam.current_arrays is None
    settle(FedAvg(), arrays)
