"""The update that trusted data yields is made beside the nodes, and what is wrong with it is the job's own fault."""

from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from torch import Tensor

from adapters.guard import Guard
from tests.adapters.flower.nodes import SIZE, Federation, federated, honest
from tests.support import ControlPlane


@pytest.fixture
def federation(plane: ControlPlane, guard: Guard, tmp_path: Path) -> Federation:
    return federated(plane, guard, tmp_path)


def towards_one(turn: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: 0.5 * (1 - tensor) for name, tensor in state.items() if tensor.is_floating_point()}


def test_a_reference_is_made_while_nodes_train_and_updates_are_compared_with_it(federation: Federation) -> None:
    begun, may_end = Event(), Event()

    def reference(turn: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        begun.set()
        assert may_end.wait(20.0), "no node trained while the reference was made"
        return towards_one(turn, state)

    def trained(partition: int, state: dict[str, Any]) -> dict[str, Any]:
        assert begun.wait(20.0), "nobody makes a reference while this node trains"
        may_end.set()
        return honest(partition, state)

    federation.trains[0] = trained
    federation.run(reference=reference)
    assert federation.reports[0].accepted == SIZE


def test_updates_that_point_away_from_the_reference_are_refused(federation: Federation) -> None:
    def away(turn: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: -tensor for name, tensor in towards_one(turn, state).items()}

    federation.run(reference=away)
    assert federation.reports[0].accepted == 0


def test_a_reference_that_fails_ends_the_job(federation: Federation) -> None:
    def broken(turn: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        raise LookupError("there is no trusted data")

    with pytest.raises(LookupError, match="trusted data"):
        federation.run(reference=broken)


def test_two_rounds_have_a_reference_each_of_their_own_weights(federation: Federation) -> None:
    seen: list[tuple[int, float]] = []

    def reference(turn: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        seen.append((turn, float(state["weight"].mean())))
        return towards_one(turn, state)

    federation.run(rounds=2, reference=reference)
    assert [turn for turn, _ in seen] == [1, 2]
    assert seen[1][1] == pytest.approx(0.5 * (1 + seen[0][1]), abs=0.05)
