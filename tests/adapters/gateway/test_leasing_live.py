"""Gateways that lease from a control plane by policy, over its API: exact, and refused as policy says."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.gateway.interfaces import Exhausted, Reservation
from adapters.gateway.leasing import AGAIN_SECONDS, Leasing
from adapters.member import Member
from controlplane.contracts.budgets import Amounts, BudgetStanding
from tests.controlplane.budgeting import AMPLE, HOUR, budgets, planes_with, windows
from tests.support import MODEL, ControlPlane


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    data = budgets(
        lease={"requests": 4, "tokens": 600, "seconds": 60, "share": 0.25, "leases": 64},
        subject={"any": windows(1_000, 6_000)},
        segment={"any": {"hour": AMPLE, "day": AMPLE}, "named": {"guests": windows(1_000, 500)}},
    )
    with planes_with(tmp_path_factory.mktemp("budgets"), data) as running:
        yield running


def gateway(plane: ControlPlane, folder: Path) -> Path:
    """Return the folder of a gateway that was enrolled there."""
    token = plane.token(["gateway"], "core")
    with Member.enrol(folder, plane.url, token, roles=["gateway"], segment="core", clock=plane.clock):
        return folder


def standing(plane: ControlPlane, name: str) -> BudgetStanding:
    """Return how a budget stands in this hour."""
    page = plane.run(plane.store.budgets.page(plane.clock(), name=name))
    return next(one for one in page if one.span == "hour")


async def test_a_gateway_leases_spends_and_gives_back(plane: ControlPlane, tmp_path: Path) -> None:
    device = plane.enrol("consumer").id
    async with Leasing.open(gateway(plane, tmp_path / "gateway"), clock=plane.clock) as leasing:
        found = [await leasing.take(device, MODEL, 100) for _ in range(4)]
        assert all(isinstance(one, Reservation) for one in found)
        assert standing(plane, device).leased == Amounts(requests=4, tokens=600)
        for one in found:
            assert isinstance(one, Reservation)
            await leasing.settle(one, 25)
    assert standing(plane, device).used == Amounts(requests=4, tokens=100)
    assert standing(plane, device).leased == Amounts(requests=0, tokens=0)


async def test_what_policy_refuses_is_told_apart_from_what_has_no_room(plane: ControlPlane, tmp_path: Path) -> None:
    guest = plane.enrol("consumer", segment="guests").id
    async with Leasing.open(gateway(plane, tmp_path / "gateway"), clock=plane.clock) as leasing:
        full = await leasing.take(guest, MODEL, 501)
        assert isinstance(full, Exhausted)
        assert full.of == "segment"
        assert HOUR + 3_600 - 60 - plane.clock() < full.retry_after <= 3_600
        assert isinstance(await leasing.take(guest, MODEL, 500), Reservation)
        unknown = Exhausted("unknown", AGAIN_SECONDS)
        assert await leasing.take("dev-nobody", MODEL, 1) == unknown
        assert await leasing.take(guest, "no-model", 1) == unknown


async def test_gateways_that_spend_at_once_use_a_budget_up_and_no_more(plane: ControlPlane, tmp_path: Path) -> None:
    device = plane.enrol("consumer").id
    folders = [await asyncio.to_thread(gateway, plane, tmp_path / f"gateway-{number}") for number in range(3)]
    used = [0, 0]

    async def spend(number: int) -> None:
        chance = random.Random(number)
        async with Leasing.open(folders[number], clock=plane.clock) as leasing:
            for _ in range(25):
                most = chance.randint(50, 400)
                found = await leasing.take(device, MODEL, most)
                if isinstance(found, Reservation):
                    tokens = chance.randint(most // 2, most)
                    used[0] += 1
                    used[1] += tokens
                    await leasing.settle(found, tokens)

    await asyncio.gather(*map(spend, range(3)))
    assert standing(plane, device).used == Amounts(requests=used[0], tokens=used[1])
    assert standing(plane, device).leased == Amounts(requests=0, tokens=0)
    assert 4_500 < used[1] <= 6_000
