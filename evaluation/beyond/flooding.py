"""Prompts without end: what of them goes through while a gateway leases budgets, and who else still gets answers."""

import asyncio
from functools import partial

from adapters.gateway.interfaces import Exhausted
from adapters.gateway.leasing import Leasing
from adapters.member import Member
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.world import MODEL, Timed, World

TOKENS = 4096 + 256
"""The longest prompt of a model of this sensitivity, and the longest answer of a device that is watched."""

NEIGHBOURS = 10


def prompt_flooding(on: World, off: World, sizes: Sizes) -> list[Attempt]:
    """Flood a gateway in both worlds, with another device beside it."""
    passed, neighbour, cost = _flooded(on, sizes.flood)
    unbounded, _, _ = _flooded(off, sizes.flood)
    return [
        Attempt(
            attack="prompt flooding",
            has="an enrolled newcomer, and as many prompts as he likes",
            tries=f"asks {sizes.flood} times for {TOKENS} tokens",
            protection="budgets that gateways lease: of the device, the model and the segment",
            on=Tally(sizes.flood, passed),
            off=Tally(sizes.flood, unbounded),
            without="in policy data: budgets of a thousand million",
            decision_ms=cost,
            noticed="the alert ZtfmBudgetExhausted; each lease that was refused is on record",
            figures={"share of a neighbour's requests that were served meanwhile": neighbour / NEIGHBOURS},
        )
    ]


def _flooded(world: World, requests: int) -> tuple[int, int, float]:
    flooder, other = world.enrol("flooder", "consumer"), world.enrol("neighbour", "consumer")
    gateway = world.staff("flooded-gateway", "gateway")
    passed, served = asyncio.run(_through(world, flooder, other, requests))
    timed = Timed()
    third = world.enrol("third", "consumer")
    for _ in range(3):
        timed(partial(gateway.plane.lease_budget, third.id, MODEL, tokens=TOKENS, requests=1))
    return passed, served, timed.milliseconds


async def _through(world: World, flooder: Member, other: Member, requests: int) -> tuple[int, int]:
    async with Leasing.open(world.folder / "parties" / "flooded-gateway", clock=world.clock) as budgets:
        passed = [await _asked(budgets, flooder) for _ in range(requests)]
        served = [await _asked(budgets, other) for _ in range(NEIGHBOURS)]
    return sum(passed), sum(served)


async def _asked(budgets: Leasing, member: Member) -> bool:
    taken = await budgets.take(member.id, MODEL, TOKENS)
    if isinstance(taken, Exhausted):
        if taken.of == "unknown":
            raise ConnectionError("the control plane could not be asked for a lease; look at its log")
        return False
    await budgets.settle(taken, TOKENS)
    return True
