"""How full budgets are is shown every minute, and what is long ago is forgotten, whatever the store does meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.budgetkeeping import KEPT_SECONDS, keep_allowances
from controlplane.storage import Store, open_store
from controlplane.telemetry import Metrics
from tests.controlplane.storage.conftest import NOW
from tests.controlplane.storage.test_budgets import GATEWAY, LIMITS, lease


class Done(Exception):  # noqa: N818 - an end, and no error
    """The passes that a test wants are over."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


async def keep(store: Store, metrics: Metrics, now: float) -> None:
    """Do one pass."""

    async def sleep(_seconds: float) -> None:
        raise Done

    with pytest.raises(Done):
        await keep_allowances(store.budgets, metrics.budgets, lambda: now, sleep)


def shown(metrics: Metrics, name: str, **labels: str) -> float | None:
    value: float | None = metrics.registry.get_sample_value(name, labels)
    return value


async def test_the_fullest_budget_of_each_kind_and_what_was_lost_are_shown(store: Store) -> None:
    metrics = Metrics("0")
    assert await store.budgets.lease(lease(1, 2, 100), GATEWAY, LIMITS, NOW)
    assert await store.budgets.lease(lease(2, 1, 500, "dev-b"), GATEWAY, LIMITS, NOW)
    await keep(store, metrics, NOW + 1.0)
    assert shown(metrics, "ztfm_budget_fullest_share", scope="subject") == 0.5
    assert shown(metrics, "ztfm_budget_fullest_share", scope="model") == 0.6
    assert shown(metrics, "ztfm_budget_lost_leases") == 0.0
    await keep(store, metrics, NOW + 61.0)
    assert shown(metrics, "ztfm_budget_lost_leases") == 2.0
    assert shown(metrics, "ztfm_budget_lost_tokens") == 600.0
    await keep(store, metrics, NOW + 86_400.0)
    assert shown(metrics, "ztfm_budget_fullest_share", scope="model") == 0.0


async def test_what_is_more_than_a_week_ago_is_forgotten(store: Store) -> None:
    assert await store.budgets.lease(lease(1), GATEWAY, LIMITS, NOW)
    await keep(store, Metrics("0"), NOW + KEPT_SECONDS)
    assert len(await store.budgets.page(NOW)) == 6
    await keep(store, Metrics("0"), NOW + KEPT_SECONDS + 1.0)
    assert await store.budgets.page(NOW) == []


async def test_a_store_that_fails_ends_nothing(store: Store) -> None:
    passes = 0

    async def sleep(_seconds: float) -> None:
        nonlocal passes
        passes += 1
        if passes == 2:
            raise Done
        await asyncio.sleep(0)

    await store.close()
    with pytest.raises(Done):
        await keep_allowances(store.budgets, Metrics("0").budgets, lambda: NOW, sleep)
