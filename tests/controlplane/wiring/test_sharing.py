"""Replicas count together where the settings say so; each machine does where they do not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.settings import Settings
from controlplane.sharing.rates import LeasedRate
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.telemetry import Metrics
from controlplane.telemetry.sharing_metrics import ABOUT
from controlplane.wiring.sharing import keep_limits, share


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


async def test_a_machine_counts_for_itself_unless_it_is_told_otherwise(store: Store) -> None:
    assert share(Settings(), store, Metrics("0")) is None


async def test_what_is_shared_asks_the_store_and_is_counted(store: Store) -> None:
    metrics = Metrics("0")
    shared = share(Settings(shared_limits="store", database_url="postgresql+asyncpg://u@h/d"), store, metrics)
    assert shared is not None
    rate = shared.rate("callers", 200.0, 400.0)
    assert isinstance(rate, LeasedRate)
    # SQLite has no replicas: it lets nothing pass in their name.
    for asked in (rate.take("a"), shared.usage.reserve("a"), shared.proofs.use("proof", "a", 1e12)):
        with pytest.raises(StoreUnavailable, match="only PostgreSQL"):
            await asked
    failed = {about: metrics.sharing.questions.labels(about, "failed")._value.get() for about in ABOUT}
    assert failed == {"proofs": 1.0, "rates": 1.0, "charges": 0.0, "usage": 1.0, "unused": 0.0}


async def test_a_store_that_is_away_is_asked_to_forget_again(store: Store) -> None:
    passes: list[float] = []

    async def sleep(seconds: float) -> None:
        passes.append(seconds)
        if len(passes) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_limits(store.limits, sleep)
    assert passes == [15.0] * 3
