"""A plain loop with homes that have a policy of their own: a veto leaves a home out, and the round goes on."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adapters.bounded import BoundedMembers
from adapters.client import SyncControlPlane
from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from adapters.site.measuring import describe, norm_of, within
from controlplane.contracts.site import SiteLimits
from tests.adapters.conftest import update_of
from tests.adapters.site.houses import MODEL, built, house_of, signed
from tests.support import ControlPlane

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    return {"weight": torch.ones(8, 4), "bias": torch.zeros(8)}


@pytest.fixture
def guard(plane: ControlPlane, enrolled: Callable[..., Member]) -> Guard:
    member = enrolled(role="aggregator")
    assert isinstance(member.plane, SyncControlPlane)
    return Guard(member.plane, audience="aggregator-1", model=MODEL, patience_seconds=0.5)


def train(members: list[Member], epsilons: dict[str, float]) -> Callable[[Member, State], tuple[State, int]]:
    """Training code that tells its site what it made; a device that is not named spends nothing."""
    numbers = {member.id: number for number, member in enumerate(members)}

    def trained(member: Member, state: State) -> tuple[State, int]:
        update = update_of(state, numbers[member.id])
        describe(member, update, 50, epsilons.get(member.id))
        return update, 50

    return trained


def test_homes_that_veto_are_left_out_and_the_round_goes_on(
    plane: ControlPlane,
    guard: Guard,
    enrolled: Callable[..., Member],
    policy: bytes,
    state: State,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    elsewhere = house_of(audiences={"another-aggregator": True})
    closed = enrolled(signed(built(tmp_path_factory.mktemp("house"), elsewhere)))
    spender, willing = enrolled(policy), enrolled(policy)
    members = [*(enrolled() for _ in range(3)), closed, spender, willing]
    bounded = BoundedMembers(guard, members)
    with GuardedRound(guard, state, bounded.members) as guarded:
        bounded.collect(guarded, train(members, {spender.id: 2.5, willing.id: 2.0}), seconds=30.0)
        after = guarded.aggregate()
    report = guard.report.rounds[-1]
    assert report.accepted == 4
    assert [(drop.point, drop.cause) for drop in report.drops] == [("pull", "declined"), ("gate", "declined")]
    taken = [update_of(state, number)["weight"] for number in (0, 1, 2, 5)]
    torch.testing.assert_close(after["weight"], state["weight"] + torch.stack(taken).mean(dim=0))


def test_the_norm_is_that_of_all_tensors_or_none() -> None:
    assert norm_of({"a": torch.tensor([3.0]), "b": torch.tensor([[4.0]])}) == pytest.approx(5.0)
    for odd in (torch.tensor([float("nan")]), torch.tensor([float("inf")]), torch.tensor([1]), "text", None):
        assert norm_of({"a": torch.tensor([3.0]), "b": odd}) is None


def test_an_update_is_scaled_back_to_what_a_site_lets_out_and_no_further() -> None:
    update: dict[str, object] = {"a": torch.full((8,), 3.0), "b": torch.full((8, 4), -4.0)}
    assert within(update, SiteLimits()) is update
    assert within(update, SiteLimits(max_norm=100.0)) is update
    kept = within(update, SiteLimits(max_norm=2.0))
    assert norm_of(kept) == pytest.approx(2.0, rel=1e-3)
    assert (norm_of(kept) or 3.0) <= 2.0
    torch.testing.assert_close(kept["b"] / kept["a"][0], torch.full((8, 4), -4.0 / 3.0))  # type: ignore[index, operator]
    odd = {**update, "c": None}
    assert within(odd, SiteLimits(max_norm=2.0)) is odd, "what has no norm is left to the site to refuse"
