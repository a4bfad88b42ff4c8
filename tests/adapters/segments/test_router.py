"""A router that hears nothing, and one whose rules somebody else passes by."""

import asyncio
import time
from pathlib import Path

from adapters.client import ControlPlane
from adapters.segments.clock import NeverBehind
from adapters.segments.enforcing import Enforcement
from adapters.segments.gatekeeper import Gatekeeper
from adapters.segments.keeping import TableFile
from adapters.segments.metrics import standing_of
from adapters.segments.revoked import GrantFeed
from adapters.segments.router import Router
from controlplane.contracts.segmentation import GrantTable
from controlplane.jose.keys import DeviceKey
from tests.adapters.listening import until
from tests.adapters.segments.plant import Plant, flow, grant, table
from tests.adapters.segments.test_enforcing import PAST
from tests.servers.ports import free_port


async def test_without_word_for_as_long_as_was_said_nothing_passes(
    plant: Plant, enforcement: Enforcement, tmp_path: Path
) -> None:
    way = [flow("camera", "gateway")]
    clock, file = NeverBehind(time.time), TableFile(tmp_path)
    file.keep(table([grant("camera", "gateway")]), time.time())
    plant.router.run("nft", "flush", "ruleset")
    timer = [0.0]
    async with ControlPlane(f"http://127.0.0.1:{free_port()}", DeviceKey.generate()) as nobody:
        feed = GrantFeed(nobody)
        keeper = Gatekeeper(Enforcement(enforcement._kernel, clock), file, feed.is_void, clock)
        router = Router(keeper, nobody, feed, silence_seconds=30.0, inside=plant.router._inside, timer=lambda: timer[0])
        running = asyncio.create_task(router.run())
        try:
            await until(lambda: keeper.table is not None and keeper._enforcement.rules is not None)
            assert await asyncio.to_thread(plant.reached, way) == set(way)
            timer[0] = 31.0
            await until(lambda: keeper.counts["silent"] > 0)
            assert await asyncio.to_thread(plant.reached, way) == set()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Same:
    """Gives out one table, made anew for whoever knows none; there is never another."""

    async def segment_table(self, known: str | None = None, wait_seconds: float = 0.0) -> GrantTable | None:
        if known is not None:
            await asyncio.Event().wait()
        return table([grant("camera", "gateway")])


async def test_what_was_shut_for_rules_of_others_opens_again_without_another_table(
    plant: Plant, enforcement: Enforcement, tmp_path: Path
) -> None:
    way, clock = [flow("camera", "gateway")], NeverBehind(time.time)

    async def _opens() -> bool:
        return await asyncio.to_thread(plant.reached, way) == set(way)

    async with ControlPlane(f"http://127.0.0.1:{free_port()}", DeviceKey.generate()) as nobody:
        feed = GrantFeed(nobody)
        keeper = Gatekeeper(Enforcement(enforcement._kernel, clock), TableFile(tmp_path), feed.is_void, clock)
        router = Router(keeper, Same(), feed, inside=plant.router._inside)
        running = asyncio.create_task(router.run())
        try:
            await until(lambda: keeper.counts["applied"] > 0)
            assert await _opens()
            open_now = standing_of(router, keeper, keeper._enforcement, clock)
            assert (open_now.flows, open_now.cuts, open_now.is_refused) == (1, 0, False)
            assert time.time() - 60 < open_now.made_at <= time.time()
            assert standing_of(router, keeper, keeper._enforcement, lambda: time.time() + 400).flows == 0
            await asyncio.to_thread(plant.router.run, "nft", PAST)
            await until(lambda: keeper.counts["disturbed"] > 0)
            assert not await _opens()
            shut = standing_of(router, keeper, keeper._enforcement, clock)
            assert (shut.flows, shut.is_refused, shut.events["disturbed"] > 0) == (0, True, True)
            await asyncio.to_thread(plant.router.run, "nft", "delete table netdev past")
            await until(lambda: keeper.counts["applied"] > 1)
            assert await _opens()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
