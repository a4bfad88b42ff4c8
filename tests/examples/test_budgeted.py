"""examples/gateway/budgeted.py at a real control plane: what is used is counted, and what has no room waits."""

import asyncio
import json
import shutil
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.client import SyncCapabilities
from adapters.member import Member
from controlplane.contracts.budgets import Amounts
from examples import calling
from examples.gateway import budgeted
from tests.controlplane.budgeting import AMPLE, budgets, policies_with
from tests.support import SEGMENTS, ControlPlane, running


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane where a device has twelve tokens a day."""
    small = {"any": {"hour": AMPLE, "day": {"requests": 100, "tokens": 12}}}
    policies = policies_with(tmp_path_factory.mktemp("budgets"), budgets(subject=small))
    with running(policies=policies) as served:
        yield served
    shutil.rmtree(policies, ignore_errors=True)


def enrolled(plane: ControlPlane, folder: Path, role: str) -> Member:
    token = plane.token([role], SEGMENTS[role])
    return Member.enrol(folder, plane.url, token, roles=[role], segment=SEGMENTS[role])


async def test_a_device_is_answered_until_its_budget_is_used_up_and_what_it_used_is_counted(
    plane: ControlPlane, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stack.enter_context(enrolled(plane, tmp_path / "gateway", "gateway"))
        device = stack.enter_context(enrolled(plane, tmp_path / "device", "consumer"))
        mine = stack.enter_context(SyncCapabilities(device.plane))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runner = web.AppRunner(budgeted.build_app(tmp_path / "gateway", url))
        await runner.setup()
        await web.SockSite(runner, listener).start()

        async def ask(text: str) -> Any:
            return await asyncio.to_thread(calling.ask, device, mine, f"{url}/v1/infer", text)

        try:
            for _ in range(2):
                assert await ask("turn the light on") == {"answer": "light", "tokens": 5}
            with pytest.raises(urllib.error.HTTPError) as refused:
                await ask("turn the light on")
            with refused.value as answer:
                assert (answer.code, json.load(answer)) == (429, {"short": "subject"})
                assert 1 <= int(answer.headers["Retry-After"]) <= 3_600
            assert await ask("dark") == {"answer": "unknown", "tokens": 2}
        finally:
            await runner.cleanup()
    page = plane.run(plane.store.budgets.page(plane.clock(), "subject", device.id))
    assert next(one for one in page if one.span == "day").used == Amounts(requests=3, tokens=12)
