"""The proxy as it is run, at a real control plane: it spends of the budgets, and who has none is answered 429."""

import asyncio
import json
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from adapters.client import SyncCapabilities
from controlplane.contracts.budgets import Amounts
from tests.adapters.gateway.proxy.conftest import modelling
from tests.adapters.gateway.proxy.test_command import BODY, ask, enrolled, granted, proxying
from tests.controlplane.budgeting import AMPLE, budgets, policies_with
from tests.servers.ports import free_port
from tests.support import ControlPlane, running, wait_until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane where a device has two requests a day, and tokens for them."""
    two = {"any": {"hour": AMPLE, "day": {"requests": 2, "tokens": 100_000}}}
    with running(policies=policies_with(tmp_path_factory.mktemp("budgets"), budgets(subject=two))) as served:
        yield served


async def test_a_device_has_as_many_requests_as_its_budget_and_the_model_sees_no_more(
    plane: ControlPlane, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        stack.enter_context(enrolled(plane, tmp_path / "gateway", "gateway"))
        device = stack.enter_context(enrolled(plane, tmp_path / "device", "consumer"))
        capabilities = stack.enter_context(SyncCapabilities(device.plane))
        async with modelling() as model:
            options = ["--upstream", model.url, "--public-url", url, "--listen", url.removeprefix("http://")]
            with proxying(tmp_path / "gateway", *options):
                token = await asyncio.to_thread(granted, capabilities)
                for _ in range(2):
                    with await asyncio.to_thread(ask, device, token, url, BODY) as answer:
                        assert answer.status == 200
                with pytest.raises(urllib.error.HTTPError) as refused:
                    await asyncio.to_thread(ask, device, token, url, BODY)
                with refused.value as problem:
                    assert problem.code == 429
                    assert int(problem.headers["Retry-After"]) > 0
                    assert json.load(problem)["status"] == 429
                assert len(model.seen) == 2

    def day() -> Amounts:
        page = plane.run(plane.store.budgets.page(plane.clock(), "subject", device.id))
        return next(one.used for one in page if one.span == "day")

    # The model said that each used eight.
    wait_until(lambda: day() == Amounts(requests=2, tokens=16), 10.0, "the command to settle when it ends")
